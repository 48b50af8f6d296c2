import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ropeTable } from '../../../shaders/src/rope-table.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { MemorySource } from '../gguf/memory-source.ts';

for (const { name, folder } of fixtures().filter((fixture) => fixture.name === 'deepseek2-v3-q8_0')) {
  describe(`YaRN in ${name}`, () => {
    /** As DeepSeek-V3's own modelling code has it. */
    const mscale = (factor: number, by: number): number => 0.1 * by * Math.log(factor) + 1;

    const withYarn = async (multiplier?: number) => {
      const model = await readGguf(new MemorySource('model.gguf', new Uint8Array(readFileSync(join(folder, 'model.gguf')))));
      const pairs = {
        'rope.scaling.type': 'yarn',
        'rope.scaling.factor': 40,
        'rope.scaling.original_context_length': 4096,
        ...(multiplier === undefined ? {} : { 'rope.scaling.yarn_log_multiplier': multiplier }),
      };
      const metadata = new Map([...model.metadata, ...Object.entries(pairs).map(([key, value]) => [`deepseek2.${key}`, value] as const)]);
      const { layers } = await specFromGguf({ ...model, metadata });
      const { attention } = layers[0] ?? {};
      if (attention?.kind !== 'mla') throw new Error(`${attention?.kind} is no latent attention`);
      // The first pair turns fastest and is left as it is.
      const { dims, base, frequencyScale, yarn } = attention.rope;
      const [cos = NaN, sin = NaN] = ropeTable({ dims, base, frequencyScale, yarn, contextLength: 2 }).subarray(dims);
      return { scale: attention.scale * Math.sqrt(96), magnitude: Math.hypot(cos, sin) };
    };

    it.each([0.0707, 0.1])('a multiplier of %d moves the stretching from cos and sin into the scores', async (multiplier) => {
      const { scale, magnitude } = await withYarn(multiplier);
      expect(scale).toBeCloseTo(mscale(40, multiplier * 10) ** 2, 6);
      expect(magnitude).toBeCloseTo(1, 6);
    });

    it('is plain YaRN without a multiplier', async () => {
      const { scale, magnitude } = await withYarn();
      expect(scale).toBeCloseTo(1, 6);
      expect(magnitude).toBeCloseTo(mscale(40, 1), 6);
    });
  });
}
