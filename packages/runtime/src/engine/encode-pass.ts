import { encodeSteps, type BatchSize, type Step } from '@gatefold/shaders';

/** Encodes steps as a compute pass of their own; returns how many dispatches that took. */
export function encodePass(encoder: GPUCommandEncoder, steps: readonly Step[], size: BatchSize): number {
  const pass = encoder.beginComputePass();
  const dispatches = encodeSteps(pass, steps, size);
  pass.end();
  return dispatches;
}
