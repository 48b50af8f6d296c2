import type { Job, JobEvent, JobReport } from '../job/types.ts';

/** Somewhere to run a job. */
export interface Host {
  /** @param deliver receives a file that the job made. Throws `JobError` when the job fails. */
  run(job: Job, emit: (event: JobEvent) => void, deliver: (bytes: Uint8Array) => Promise<void>): Promise<JobReport>;
  close(): Promise<void>;
}

/** A job failed in its host; `code` is the GatefoldError's. */
export class JobError extends Error {
  override readonly name = 'JobError';
  constructor(readonly code: string, message: string) {
    super(message);
  }
}
