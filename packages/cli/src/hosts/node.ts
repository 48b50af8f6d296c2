import { create, globals } from 'webgpu';
import { loadInNode } from '@gatefold/runtime/node';
import { runJob } from '../job/run.ts';
import { JobError, type Host } from './host.ts';

// Dawn's instance must outlive every device, or the process crashes.
let instance: GPU | undefined;

/**
 * WebGPU in this process, over the npm package `webgpu` (Dawn). Dawn's toggles are those that CHROME_ARGS names
 * (`--enable-dawn-features=…`), so that Node and Chromium compute alike. Keeps the process alive until released.
 */
export function openDawn(): { readonly gpu: GPU; release(): void } {
  Object.assign(globalThis, globals);
  instance ??= create((process.env['CHROME_ARGS'] ?? '').split(/\s+/).flatMap((arg) => /^--((?:en|dis)able-dawn-features=.+)/.exec(arg)?.[1] ?? []));
  // Dawn's callbacks do not keep the process alive by themselves.
  const alive = setInterval(() => {}, 1000);
  return { gpu: instance, release: () => clearInterval(alive) };
}

/** Runs jobs in this process over Dawn, without a browser. */
export async function nodeHost(): Promise<Host> {
  const { gpu, release } = openDawn();
  return {
    async run(job, emit, deliver) {
      const environment = { load: (source: string, options: object) => loadInNode(source, options, gpu), gpu: () => gpu, deliver };
      try {
        return await runJob(job, environment, emit);
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
        throw new JobError(code, error instanceof Error ? error.message : String(error));
      }
    },
    async close() {
      release();
    },
  };
}
