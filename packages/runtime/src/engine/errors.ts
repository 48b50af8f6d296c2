import { GatefoldError } from '../errors.ts';

/** The host has no WebGPU at all. */
export class NoWebGpuError extends GatefoldError {
  override readonly name = 'NoWebGpuError';
  constructor() {
    super(
      'no-webgpu',
      'This browser has no WebGPU (navigator.gpu is missing). Use a current Chrome, Edge, Firefox or Safari, over https or localhost.',
    );
  }
}

/** WebGPU exists, but no adapter is offered. */
export class NoAdapterError extends GatefoldError {
  override readonly name = 'NoAdapterError';
  constructor() {
    super(
      'no-adapter',
      'WebGPU offers no adapter on this machine. Turn on hardware acceleration or update the graphics driver; for a software adapter start Chromium with --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader.',
    );
  }
}

/** The GPU could not allocate what the model needs. */
export class OutOfGpuMemoryError extends GatefoldError {
  override readonly name = 'OutOfGpuMemoryError';
  constructor(readonly bytes: number, detail: string) {
    super('out-of-gpu-memory', `The GPU could not allocate ${bytes} bytes for this model (${detail}). Use a smaller model, a shorter context or close other tabs.`, { bytes });
  }
}

/** The device is gone (driver reset, sleep, dispose); sessions on it cannot go on. */
export class DeviceLostError extends GatefoldError {
  override readonly name = 'DeviceLostError';
  constructor(readonly reason: string) {
    super('device-lost', `The GPU device was lost (${reason}). Load the model again to go on; the page need not be reloaded.`, { reason });
  }
}

/** The prompt does not fit the session's context. */
export class PromptTooLongError extends GatefoldError {
  override readonly name = 'PromptTooLongError';
  constructor(readonly promptTokens: number, readonly contextLength: number) {
    super(
      'prompt-too-long',
      `The prompt has ${promptTokens} tokens, but the context holds ${contextLength}. Shorten it or load the model with a larger contextLength.`,
      { promptTokens, contextLength },
    );
  }
}

/** A prompt id outside the vocabulary, or no prompt at all. */
export class PromptError extends GatefoldError {
  override readonly name = 'PromptError';
  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super('bad-prompt', message, details);
  }
}

/** The model computed NaN or only -Infinity: broken weights or a broken kernel on this adapter. */
export class NanLogitsError extends GatefoldError {
  override readonly name = 'NanLogitsError';
  constructor(readonly position: number) {
    super(
      'nan-logits',
      `The logits after position ${position} are not numbers. The file's weights are damaged, or this GPU driver miscomputes: check the file, or load with bareKernels: true.`,
      { position },
    );
  }
}

/** Used after dispose(). */
export class DisposedError extends GatefoldError {
  override readonly name = 'DisposedError';
  constructor(readonly what: string) {
    super('disposed', `This ${what} was disposed. Load the model or create the session again.`, { what });
  }
}

/** A sampling setting outside its range. */
export class SamplingError extends GatefoldError {
  override readonly name = 'SamplingError';
  constructor(readonly field: string, readonly value: number, low: number, high: number) {
    super('bad-sampling', `${field} is ${value}, but must lie between ${low} and ${high}.`, { field, value, low, high });
  }
}

/** A session was asked to generate while it already does. */
export class SessionBusyError extends GatefoldError {
  override readonly name = 'SessionBusyError';
  constructor() {
    super('session-busy', 'This session is generating already. Await or abort that first, or create another session.');
  }
}

/** An option of `load` is outside its range. */
export class LoadOptionError extends GatefoldError {
  override readonly name = 'LoadOptionError';
  constructor(
    /** Name of the option, e.g. `contextLength`. */
    readonly field: string,
    readonly value: unknown,
    /** What it may be. */
    readonly allowed: string,
  ) {
    super('bad-option', `The load option ${field} is ${String(value)}, but must be ${allowed}.`, { field, value, allowed });
  }
}
