import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UnsupportedFamilyError } from '../../src/model/families/errors.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { MemorySource } from '../gguf/memory-source.ts';

const SUPPORTED = new Set(['llama', 'qwen3', 'olmoe', 'qwen3moe', 'prmoe']);

describe('specFromGguf on models of every family', () => {
  it.each(fixtures())('$name', async ({ folder }) => {
    const model = await readGguf(new MemorySource('model.gguf', new Uint8Array(readFileSync(join(folder, 'model.gguf')))));
    const reference = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8'));
    const arch = String(model.metadata.get('general.architecture'));
    if (!SUPPORTED.has(arch)) {
      expect(() => specFromGguf(model)).toThrowError(UnsupportedFamilyError);
      expect(() => specFromGguf(model)).toThrowError(`"${arch}" are not supported; supported: llama, qwen3, olmoe, qwen3moe, prmoe`);
      return;
    }
    const spec = specFromGguf(model);
    const { dims, hf_config: config } = reference;
    if (arch === 'prmoe') {
      const experts = { kind: 'moe', topK: dims.k, width: dims.ff, router: { score: 'softmax', renormalise: null, scale: 1 }, shared: { kind: 'residual', width: dims.mlp } };
      expect(spec.layers.map(({ ffn }) => ffn)).toMatchObject(dims.E.map((count: number) => (count === 0 ? { kind: 'dense', width: dims.mlp } : { ...experts, experts: count })));
      expect(spec.layers[0]?.attention).toMatchObject({ heads: dims.h, kvHeads: dims.kv, headDim: dims.hd, qkNorm: 'per-head', rope: { kind: 'neox', dims: dims.hd } });
      return;
    }
    const experts = config.num_local_experts ?? config.num_experts;
    expect(spec).toMatchObject({ arch, vocabSize: dims.V, hiddenSize: dims.d, contextLength: config.max_position_embeddings });
    expect(spec.output.tensor).toBe(dims.tie ? 'token_embd.weight' : 'output.weight');
    expect(spec.layers.map(({ index }) => index)).toEqual(Array.from({ length: dims.L }, (_, index) => index));
    for (const { attention, ffn, ffnNorm } of spec.layers) {
      expect(ffnNorm.eps).toBeCloseTo(config.rms_norm_eps, 10);
      expect(attention).toMatchObject({ heads: dims.h, kvHeads: dims.kv, headDim: dims.hd, valueDim: dims.hd, qkvBias: false });
      expect(attention.scale).toBeCloseTo(1 / Math.sqrt(dims.hd), 12);
      expect(attention.qkNorm).toBe(arch === 'olmoe' ? 'full' : arch === 'llama' ? 'none' : 'per-head');
      expect(attention.rope).toMatchObject({
        kind: arch === 'llama' ? 'norm' : 'neox',
        dims: dims.hd,
        base: config.rope_parameters.rope_theta,
        frequencyScale: 1,
        yarn: null,
        frequencyFactors: config.rope_parameters.rope_type === 'llama3',
      });
      if (experts === undefined) {
        expect(ffn).toMatchObject({ kind: 'dense', width: dims.ff });
      } else {
        expect(ffn).toMatchObject({ kind: 'moe', experts, topK: dims.k, width: dims.ff, shared: { kind: 'none' } });
        expect(ffn.kind === 'moe' && ffn.router).toMatchObject({ score: 'softmax', renormalise: arch === 'olmoe' ? null : { eps: 0 }, scale: 1 });
      }
    }
  });
});
