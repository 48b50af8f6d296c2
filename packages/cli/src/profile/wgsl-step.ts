import type { Step, Workgroups } from '@gatefold/shaders';

export interface WgslStep {
  readonly label: string;
  /** Plain WGSL with entry point `main`. */
  readonly code: string;
  /** Values of the module's `override` constants. */
  readonly constants?: Readonly<Record<string, number>>;
  /** `@group(0)` bindings, from binding 0 on. */
  readonly bindings: readonly GPUBufferBinding[];
  readonly workgroups: Workgroups;
}

/** A dispatch of a kernel that is the bench's own, beside those of the engine. */
export async function wgslStep(device: GPUDevice, { label, code, constants = {}, bindings, workgroups }: WgslStep): Promise<Step> {
  const module = device.createShaderModule({ label, code });
  const pipeline = await device.createComputePipelineAsync({ label, layout: 'auto', compute: { module, entryPoint: 'main', constants: { ...constants } } });
  const entries = bindings.map((resource, binding) => ({ binding, resource }));
  return { label, pipeline, bindGroup: device.createBindGroup({ label, layout: pipeline.getBindGroupLayout(0), entries }), workgroups };
}
