import type { Job, JobEvent, JobFailure, Reports } from '../job/types.ts';

/** How a command follows its job. */
export interface JobObserver {
  emit(event: JobEvent): void;
  /** Receives a file that the job made. */
  deliver?(bytes: Uint8Array): Promise<void>;
  /** Ends the job; `run` then throws its reason. */
  readonly signal: AbortSignal;
}

/** Somewhere to run a job. */
export interface Host {
  /** Throws `JobError` when the job fails. */
  run<Command extends Job['command']>(job: Extract<Job, { readonly command: Command }>, observer: JobObserver): Promise<Reports[Command]>;
  close(): Promise<void>;
}

/** A job failed; `code` is the GatefoldError's. */
export class JobError extends Error {
  override readonly name = 'JobError';
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  static of({ code, message }: JobFailure, options?: ErrorOptions): JobError {
    return new JobError(code, message, options);
  }
}
