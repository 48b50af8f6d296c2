import { GatefoldError } from '../errors.ts';

/** The model's worker did not start, or ended by itself; what it had loaded is gone. */
export class WorkerError extends GatefoldError {
  override readonly name = 'WorkerError';
  constructor(readonly problem: string) {
    super(
      'worker-failed',
      `The model's worker failed (${problem}). Load the model again; if the worker never starts, let the page load module workers from its own origin (CSP worker-src), or load with worker: false.`,
      { problem },
    );
  }
}

/** The browser has WebGPU in pages, but not in workers. */
export class NoWorkerGpuError extends GatefoldError {
  override readonly name = 'NoWorkerGpuError';
  constructor() {
    super('no-worker-webgpu', 'This browser has WebGPU in pages, but not in workers. Update it, or load with worker: false, which holds the page up while it loads.');
  }
}
