// Few machines that run tests have subgroup matrices. Dawn's null backend computes nothing, yet checks every kernel.
import { create, globals } from 'webgpu';
import { expect, it } from 'vitest';
import { linkKernel, type Conditions } from '../src/index.ts';

const VARIANTS: readonly (readonly [module: string, conditions: Conditions])[] = [
  ['gemm', { BIAS: true, RESIDUAL: true, STACKED_2: true, STACKED_3: true, MIXED: true, WEIGHT_Q8_0: true }],
  ['grouped_gate_up', { SWIGLU: true, BIAS: true, INPUT_WEIGHTS: true }],
  ['grouped_gate_up', { GEGLU: true, MIXED: true, WEIGHT_Q8_0: true }],
  ['grouped_gate_up', { GELU: true, PAGES: true }],
  ['grouped_down', { BIAS: true, PAGES: true, PAGES_3: true, PAGES_4: true }],
];

it('GEMMs on subgroup matrices compile', async () => {
  Object.assign(globalThis, globals);
  const gpu: GPU = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = await gpu.requestAdapter();
  const wanted: readonly string[] = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
  const device = await adapter?.requestDevice({ requiredFeatures: wanted as GPUFeatureName[] });
  for (const [module, conditions] of VARIANTS) {
    const code = await linkKernel(module, { MATRIX: true, WEIGHT_Q4_0: true, ...conditions });
    expect(code).toContain('subgroupMatrixMultiplyAccumulate');
    const info = await device?.createShaderModule({ code }).getCompilationInfo();
    expect(info?.messages.map(({ lineNum, message }) => `${module} ${lineNum}: ${message}`)).toEqual([]);
  }
});
