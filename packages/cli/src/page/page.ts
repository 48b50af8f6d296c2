import { load } from '@gatefold/runtime';
import { runJob } from '../job/run.ts';
import type { Job, JobEnvironment, JobEvent, JobReport } from '../job/types.ts';

declare global {
  interface Window {
    /** Called by the command: runs a job and resolves with its report, or with the error's fields. */
    gatefoldRun(job: Job): Promise<{ readonly report: JobReport } | { readonly error: { readonly code: string; readonly message: string } }>;
    /** Provided by the command. */
    gatefoldEvent(event: JobEvent): Promise<void>;
  }
}

const environment: JobEnvironment = {
  load,
  gpu: () => navigator.gpu,
  deliver: async (bytes) => {
    await fetch('/deliver', { method: 'POST', body: bytes });
  },
};

window.gatefoldRun = async (job) => {
  // Events are delivered in order, and all of them before the report.
  let delivered: Promise<unknown> = Promise.resolve();
  try {
    const report = await runJob(job, environment, (event) => {
      delivered = delivered.then(() => window.gatefoldEvent(event));
    });
    await delivered;
    return { report };
  } catch (error) {
    await delivered;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
    return { error: { code, message: error instanceof Error ? error.message : String(error) } };
  }
};
