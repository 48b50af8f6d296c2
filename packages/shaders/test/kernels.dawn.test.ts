import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases } from './cases/index.ts';
import { dawnDevice } from './harness/dawn.ts';
import { KernelTest } from './harness/kernel-case.ts';

// Fresh inputs each run; a failure prints the seed, and GATEFOLD_SEED repeats it.
const seed = Number(process.env['GATEFOLD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

describe(`kernels in Node's Dawn (seed ${seed})`, () => {
  let device: GPUDevice;
  const stray: string[] = [];
  beforeAll(async () => {
    device = await dawnDevice();
    device.addEventListener('uncapturederror', (event) => stray.push((event as GPUUncapturedErrorEvent).error.message));
  });
  afterAll(() => device.destroy());

  for (const variant of ['native', 'bare'] as const) {
    for (const { name, run } of cases) {
      it(`${name} [${variant}]`, async () => {
        const t = new KernelTest(device, seed, variant === 'bare' ? { F16: false, SUBGROUPS: false } : undefined);
        try {
          await run(t);
        } finally {
          t.dispose();
        }
        expect(stray.splice(0)).toEqual([]);
      });
    }
  }
});
