import { load } from '@gatefold/runtime';
import { openSource } from '../../../runtime/src/shards/sources/open.ts';
import { loadModel } from '../../../runtime/src/worker/load-model.ts';
import { failureOf } from '../job/failure.ts';
import { runJob } from '../job/run.ts';
import type { Job, JobEvent, JobOutcome, JobReport } from '../job/types.ts';

declare global {
  interface Window {
    /** Called by the command: runs a job and resolves with its report, or with the error's fields. */
    gatefoldRun(job: Job): Promise<JobOutcome<JobReport>>;
    /** Provided by the command. */
    gatefoldEvent(event: JobEvent): Promise<void>;
  }
}

window.gatefoldRun = async (job) => {
  // Events are delivered in order, and all of them before the report.
  let delivered: Promise<unknown> = Promise.resolve();
  const emit = (event: JobEvent) => {
    delivered = delivered.then(() => window.gatefoldEvent(event));
  };
  const run = runJob(job, { load, open: (source, options) => loadModel((onWarning) => openSource(source, onWarning), options), gpu: () => navigator.gpu, emit, deliver });
  const outcome = await run.then((report) => ({ report }), (error: unknown) => ({ error: failureOf(error) }));
  await delivered;
  return outcome;
};

/** Too large for a message to the command. */
async function deliver(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const { ok, status } = await fetch('/deliver', { method: 'POST', body: bytes });
  if (!ok) throw new Error(`the result could not be handed over (${status})`);
}
