import { SamplingError } from './errors.ts';
import type { SamplingOptions } from '../api/types.ts';

/** Positions back that the repeat penalty looks at, as in llama.cpp. */
const PENALTY_WINDOW = 64;

/** Sampling settings with all defaults filled in. */
export type Sampling = Required<SamplingOptions>;

/** Fills in defaults and checks ranges; throws `SamplingError` naming the field. */
export function completeSampling(options: SamplingOptions = {}): Sampling {
  const sampling: Sampling = {
    temperature: options.temperature ?? 0,
    topK: options.topK ?? 0,
    topP: options.topP ?? 1,
    minP: options.minP ?? 0,
    repeatPenalty: options.repeatPenalty ?? 1,
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
  };
  const check = (field: keyof Sampling, low: number, high: number, whole = false) => {
    const value = sampling[field];
    if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) throw new SamplingError(field, value, low, high);
  };
  check('temperature', 0, 100);
  check('topK', 0, 2 ** 31, true);
  check('topP', 0, 1);
  check('minP', 0, 1);
  check('repeatPenalty', 0.01, 100);
  check('seed', -(2 ** 53), 2 ** 53, true);
  return sampling;
}

/** The sampler's uniform: temperature, topK, topP, minP, repeatPenalty, penaltyWindow, seed. */
export function samplingUniform({ temperature, topK, topP, minP, repeatPenalty, seed }: Sampling): ArrayBuffer {
  const data = new DataView(new ArrayBuffer(32));
  data.setFloat32(0, temperature, true);
  data.setUint32(4, topK, true);
  data.setFloat32(8, topP, true);
  data.setFloat32(12, minP, true);
  data.setFloat32(16, repeatPenalty, true);
  data.setUint32(20, PENALTY_WINDOW, true);
  data.setUint32(24, seed >>> 0, true);
  return data.buffer;
}
