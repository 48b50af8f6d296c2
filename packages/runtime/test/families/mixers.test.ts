// Metadata of families with mixers of their own, as damaged or hostile files may have it.
import { describe, expect, it } from 'vitest';
import { ropeTable } from '../../../shaders/src/rope-table.ts';
import { checkSpec } from '../../src/engine/check-spec.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import type { GgufModel, GgufValue } from '../../src/model/gguf/types.ts';
import { MemorySource } from '../gguf/memory-source.ts';
import { MIXER_FAMILIES, tinyMixerModel } from '../gguf/tiny-mixers.ts';
import { writeGguf } from '../gguf/write-gguf.ts';

type Changes = Readonly<Record<string, GgufValue | undefined>>;

/** A tiny model with keys of its family changed, or left out where undefined. */
async function changed(arch: (typeof MIXER_FAMILIES)[number], changes: Changes): Promise<GgufModel> {
  const model = await readGguf(new MemorySource('tiny.gguf', writeGguf(tinyMixerModel(arch)).bytes));
  const metadata = new Map(model.metadata);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) metadata.delete(`${arch}.${key}`);
    else metadata.set(`${arch}.${key}`, value);
  }
  return { ...model, metadata };
}

const MIXERS: Readonly<Record<(typeof MIXER_FAMILIES)[number], object>> = {
  deepseek2: { kind: 'mla', heads: 2, queryRank: 32, latentDim: 32, plainDim: 32, ropeDim: 32, valueDim: 32, upProjection: 'k-b-v-b', scale: 1 / 8 },
  lfm2: { kind: 'short-conv', kernel: 3 },
  qwen3next: { kind: 'delta-net', keyHeads: 2, valueHeads: 2, keyDim: 16, valueDim: 16, kernel: 4, valueOrder: 'grouped' },
};

it.each(MIXER_FAMILIES)('the smallest %s', async (arch) => {
  expect((await specFromGguf(await changed(arch, {}))).layers[0]?.attention).toMatchObject(MIXERS[arch]);
});

const REFUSED: Readonly<Record<(typeof MIXER_FAMILIES)[number], readonly (readonly [key: string, value: GgufValue | undefined])[]>> = {
  deepseek2: [
    ['attention.kv_lora_rank', undefined],
    ['attention.kv_lora_rank', 0],
    ['attention.q_lora_rank', undefined],
    ['attention.key_length_mla', 1e9],
    // All of a key rotated leaves nothing for the latent vector.
    ['rope.dimension_count', 64],
    ['rope.dimension_count', 31],
    ['rope.scaling.yarn_log_multiplier', -1],
  ],
  lfm2: [
    ['shortconv.l_cache', undefined],
    ['shortconv.l_cache', 1],
    ['shortconv.l_cache', 1e6],
    ['attention.head_count_kv', []],
    ['attention.head_count_kv', [3]],
  ],
  qwen3next: [
    ['full_attention_interval', 0],
    ['ssm.conv_kernel', undefined],
    ['ssm.group_count', 3],
    ['ssm.inner_size', 31],
    ['ssm.state_size', 0],
    ['ssm.time_step_rank', undefined],
  ],
};

describe.each(MIXER_FAMILIES)('%s', (arch) => {
  it.each(REFUSED[arch])('refuses %s: %s', async (key, value) => {
    await expect(specFromGguf(await changed(arch, { [key]: value }))).rejects.toMatchObject({ code: 'model-metadata', key: `${arch}.${key}` });
  });
});

it.each([
  ['deepseek2', { 'attention.kv_lora_rank': 64 }, 'blk.0.attn_kv_a_mqa.weight', [96, 32]],
  ['lfm2', { 'shortconv.l_cache': 4 }, 'blk.0.shortconv.conv.weight', [32, 4]],
  ['qwen3next', { 'ssm.state_size': 32 }, 'blk.0.attn_qkv.weight', [160, 32]],
] as const)('%s with other sizes than its tensors', async (arch, changes, name, expected) => {
  await expect(specFromGguf(await changed(arch, changes))).rejects.toMatchObject({ code: 'model-tensor', tensor: name, expected });
});

it.each([
  ['deepseek2', { latentDim: 1024 }, 'latent vectors of 1024 dimensions'],
  ['qwen3next', { valueDim: 256 }, 'Gated DeltaNet heads of 256 dimensions'],
] as const)('%s beyond what kernels serve is refused before anything is fetched', async (arch, larger, feature) => {
  const spec = await specFromGguf(await changed(arch, {}));
  expect(() => checkSpec(spec)).not.toThrow();
  const layers = spec.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, ...larger } }));
  expect(() => checkSpec({ ...spec, layers })).toThrowError(feature);
});

describe("deepseek2's YaRN", () => {
  /** As DeepSeek-V3's own modelling code has it. */
  const mscale = (factor: number, by: number): number => 0.1 * by * Math.log(factor) + 1;

  const withYarn = async (multiplier?: number) => {
    const yarn = { 'rope.scaling.type': 'yarn', 'rope.scaling.factor': 40, 'rope.scaling.original_context_length': 4096, 'rope.scaling.yarn_log_multiplier': multiplier };
    const { attention } = (await specFromGguf(await changed('deepseek2', yarn))).layers[0] ?? {};
    if (attention?.kind !== 'mla') throw new Error(`${attention?.kind} is no latent attention`);
    const { dims, base, frequencyScale, yarn: parameters } = attention.rope;
    // The first pair turns fastest and is left as it is.
    const [cos = NaN, sin = NaN] = ropeTable({ dims, base, frequencyScale, yarn: parameters, contextLength: 2 }).subarray(dims);
    return { scale: attention.scale * Math.sqrt(64), magnitude: Math.hypot(cos, sin) };
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
