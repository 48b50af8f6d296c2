// The demo page: `vite`, `vite build`, `vite preview`. The library has its own: packages/runtime/vite.config.ts.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { offline } from './scripts/vite/offline.ts';
import { relay } from './scripts/vite/relay.ts';
import { stripWesl } from './scripts/vite/strip-wesl.ts';

export default defineConfig({
  root: fileURLToPath(new URL('./packages/demo', import.meta.url)),
  base: './',
  plugins: [stripWesl(), offline(), relay()],
  worker: { format: 'es', plugins: () => [stripWesl()] },
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: true },
  preview: { port: 5173 },
});
