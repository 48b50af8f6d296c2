import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases } from '../cases/index.ts';
import type { CaseRequest, Variant } from './guest.ts';

/** A program with WebGPU in which kernel cases run. */
export interface KernelHost {
  /** Runs one case; gives what went wrong, or undefined. */
  run(request: CaseRequest): Promise<string | undefined>;
  close(): Promise<void>;
}

// Fresh inputs each run; the title shows the seed, and GATEFOLD_SEED repeats it.
const seed = Number(process.env['GATEFOLD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/**
 * Every kernel case as a test of its own in one host.
 * @param missing why this machine lacks the host, if it does: its cases are then skipped, or fail where CI is true
 */
export function describeKernels(
  hostName: string,
  { open, variants, missing }: { open: () => Promise<KernelHost>; variants: readonly Variant[]; missing?: string | undefined },
): void {
  if (missing !== undefined && process.env['CI'] !== 'true') {
    describe.skip(`kernels in ${hostName}, skipped: ${missing}`, () => it('any case', () => {}));
    return;
  }
  describe(`kernels in ${hostName} (GATEFOLD_SEED=${seed})`, () => {
    let host: KernelHost;
    beforeAll(async () => {
      if (missing !== undefined) throw new Error(missing);
      host = await open();
    });
    afterAll(() => host?.close());

    for (const variant of variants) {
      for (const { name } of cases) {
        it(`${name} [${variant}]`, async () => {
          expect(await host.run({ name, variant, seed })).toBeUndefined();
        });
      }
    }
  });
}
