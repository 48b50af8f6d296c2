import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts', 'e2e/firefox/**/*.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: 'forks',
    // Has one identity a module: a test of two peers needs it twice.
    server: { deps: { inline: [/@trystero-p2p/] } },
    // Vitest leaves a core idle by default, which of two is half of the machine.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
});
