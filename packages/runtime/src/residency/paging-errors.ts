import { GatefoldError } from '../errors.ts';

/** The GPU budget does not hold what every token needs. */
export class GpuBudgetError extends GatefoldError {
  override readonly name = 'GpuBudgetError';
  constructor(
    /** Bytes of the budget. */
    readonly budget: number,
    /** Bytes of the trunk and of each layer's top-k experts. */
    readonly needed: number,
    trunk: number,
  ) {
    super(
      'gpu-budget-too-small',
      `The GPU budget of ${budget} bytes is too small: the model's trunk takes ${trunk}, and with the experts that one token uses it takes ${needed}. Give gpuBudget at least ${needed}, or use a smaller model.`,
      { budget, needed, trunk },
    );
  }
}

/** Experts that an answer needs can be had neither from this device nor from the network. */
export class ExpertsUnavailableError extends GatefoldError {
  override readonly name = 'ExpertsUnavailableError';
  constructor(
    /** Experts of the model that are not kept on this device. */
    readonly missing: number,
    /** Experts of the model. */
    readonly total: number,
    /** The layer that asked, and the experts that it asked for. */
    readonly layer: number,
    readonly experts: readonly number[],
    cause: unknown,
  ) {
    super(
      'experts-unavailable',
      `${missing} of the model's ${total} experts are not on this device and the network does not give them; layer ${layer} needs ${experts.join(', ')}. Connect and ask again: the session goes on, and all can be downloaded beforehand for use offline.`,
      { missing, total, layer, experts },
      { cause },
    );
  }
}

/** More experts of a layer are to be kept than leave room for a token. */
export class PinError extends GatefoldError {
  override readonly name = 'PinError';
  constructor(readonly layer: number, readonly pinned: number, readonly most: number) {
    super('too-many-pins', `${pinned} experts of layer ${layer} are to stay on the GPU, but the budget has room for ${most} beside those of a token. Pin fewer, or load with a larger gpuBudget.`, { layer, pinned, most });
  }
}
