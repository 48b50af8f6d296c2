import { create, globals } from 'webgpu';
import { loadInNode } from '@gatefold/runtime/node';
import { runJob } from '../job/run.ts';
import { JobError, type Host } from './host.ts';

// Dawn's instance must outlive every device, or the process crashes.
let instance: GPU | undefined;

/** Runs jobs in this process over the npm package `webgpu` (Dawn), without a browser. */
export async function nodeHost(): Promise<Host> {
  Object.assign(globalThis, globals);
  instance ??= create([]);
  const gpu = instance;
  // Dawn's callbacks do not keep the process alive by themselves.
  const alive = setInterval(() => {}, 1000);
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
      clearInterval(alive);
    },
  };
}
