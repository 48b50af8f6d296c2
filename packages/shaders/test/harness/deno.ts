import { join } from 'node:path';
import { startDeno } from './deno-process.ts';
import type { KernelHost } from './host.ts';
import type { Answer } from './stdio-guest.ts';

/** Kernel cases in Deno. */
export async function openDeno(): Promise<KernelHost> {
  const deno = await startDeno<Answer>(join(import.meta.dirname, 'stdio-guest.ts'));
  return {
    async run(request) {
      const answer = await deno.ask(request);
      return answer ? answer.failure : `Deno ended in "${request.name}" with ${deno.end}`;
    },
    close: () => deno.close(),
  };
}
