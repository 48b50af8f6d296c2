/** Numbers that change from one forward pass to the next and that workgroup counts depend on. */
export interface BatchSize {
  /** Tokens in this pass: 1 in decode, the chunk's length in prefill. */
  readonly tokens: number;
  /** Positions that the last token of this pass sees, itself included (start + tokens). */
  readonly context: number;
}

export type Workgroups = readonly [x: number, y: number, z: number];

/** One dispatch of the forward pass: made once, encoded many times. */
export interface Step {
  /** Stage name as shown in profiles, e.g. `layer.3.expert_gate_up`. */
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  /** Workgroup counts; `indirect` steps read them from the GPU instead. */
  readonly workgroups: Workgroups | ((size: BatchSize) => Workgroups);
  readonly indirect?: { readonly buffer: GPUBuffer; readonly offset: number };
}

/** Encodes `steps` in order into `pass`; returns how many dispatches that took: a step without workgroups takes none. */
export function encodeSteps(pass: GPUComputePassEncoder, steps: readonly Step[], size: BatchSize): number {
  let dispatches = 0;
  for (const step of steps) {
    const [x, y, z] = typeof step.workgroups === 'function' ? step.workgroups(size) : step.workgroups;
    if (!step.indirect && x * y * z === 0) continue;
    pass.setPipeline(step.pipeline);
    pass.setBindGroup(0, step.bindGroup);
    if (step.indirect) pass.dispatchWorkgroupsIndirect(step.indirect.buffer, step.indirect.offset);
    else pass.dispatchWorkgroups(x, y, z);
    dispatches++;
  }
  return dispatches;
}
