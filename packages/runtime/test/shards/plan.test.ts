import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readGguf } from '../../src/model/gguf/read.ts';
import type { GgufModel, TensorInfo } from '../../src/model/gguf/types.ts';
import { planShards } from '../../src/shards/plan.ts';
import type { Shard, ShardRange } from '../../src/shards/shard.ts';
import { BlobSource } from '../../src/shards/sources/blob.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { MemorySource } from '../gguf/memory-source.ts';
import { F32, pair, Q4_0, tensor, tinyModel } from '../gguf/tiny-model.ts';
import { T, writeGguf, type WrittenTensor } from '../gguf/write-gguf.ts';
import { randomBytes } from './random.ts';

const IN_REPO = join(import.meta.dirname, '../fixtures');
const COPIES = ['olmoe-q4_0', 'qwen3moe-q4_k_m'].map((name) => ({ name: `${name} (copy)`, folder: join(IN_REPO, name) }));

/** Every byte of every tensor is in exactly one range, whose rows say which bytes it holds. */
function expectToCover(model: GgufModel, shards: readonly Shard[]): void {
  const byTensor = new Map<string, ShardRange[]>();
  for (const range of shards.flatMap(({ ranges }) => ranges)) byTensor.set(range.tensor, [...(byTensor.get(range.tensor) ?? []), range]);
  expect([...byTensor.keys()].sort()).toEqual([...model.tensors.keys()].sort());
  for (const [name, ranges] of byTensor) {
    const info = model.tensors.get(name);
    ranges.sort((a, b) => a.offset - b.offset);
    let end = info?.offset;
    for (const { file, offset, length } of ranges) {
      expect({ name, file, offset }).toEqual({ name, file: info?.file, offset: end });
      end = offset + length;
    }
    expect(end).toBe((info?.offset ?? 0) + (info?.byteLength ?? 0));
  }
  for (const { id, byteLength, ranges } of shards) expect({ id, byteLength }).toEqual({ id, byteLength: ranges.reduce((sum, { length }) => sum + length, 0) });
  expect(new Set(shards.map(({ id }) => id)).size).toBe(shards.length);
}

/** A model of one file without a header, for tensors that would be a nuisance to write. */
function modelOf(file: Blob, tensors: readonly Omit<TensorInfo, 'type' | 'file'>[]): GgufModel {
  const infos = tensors.map((info) => [info.name, { ...info, type: Q4_0, file: 0 }] as const);
  return { version: 3, metadata: new Map(), files: [{ source: new BlobSource(file), headerBytes: 0 }], tensors: new Map(infos) };
}

const open = (tensors: readonly WrittenTensor[], name = 'm.gguf') => readGguf(new MemorySource(name, writeGguf({ tensors }).bytes));
const idsOf = (shards: readonly Shard[]) => shards.map(({ id }) => id);

describe('covers every byte of every tensor once', () => {
  test.each([...fixtures(), ...COPIES])('$name', async ({ folder }) => {
    const model = await readGguf(new PathSource(join(folder, 'model.gguf')));
    const { shards } = await planShards(model);
    expectToCover(model, shards);
    const { dims }: { dims: { E?: number | number[] } } = JSON.parse(await readFile(join(folder, 'reference.json'), 'utf8'));
    const experts = shards.filter(({ kind }) => kind === 'expert');
    // Leading layers may be dense.
    const layers = new Set(experts.map(({ layer }) => layer));
    const { E = 0 } = dims;
    expect(experts).toHaveLength(Array.isArray(E) ? E.reduce((sum, count) => sum + count, 0) : layers.size * E);
  });

  test.each(['llama', 'qwen3', 'olmoe', 'qwen3moe'] as const)('the smallest %s', async (arch) => {
    const model = await readGguf(new MemorySource('m.gguf', writeGguf(tinyModel({ arch, layers: 3 })).bytes));
    expectToCover(model, (await planShards(model)).shards);
  });

  test('a split model', async () => {
    const { pairs, tensors } = tinyModel({ arch: 'olmoe', layers: 2, experts: 3 });
    const half = tensors.length >> 1;
    const file = (index: number, part: readonly WrittenTensor[]) =>
      writeGguf({ pairs: [...(index === 0 ? pairs : []), pair('split.no', T.u16, index), pair('split.count', T.u16, 2)], tensors: part }).bytes;
    const folder = { 'm-00001-of-00002.gguf': file(0, tensors.slice(0, half)), 'm-00002-of-00002.gguf': file(1, tensors.slice(half)) };
    const model = await readGguf(new MemorySource('m-00001-of-00002.gguf', folder['m-00001-of-00002.gguf'], folder));
    const { shards } = await planShards(model);
    expectToCover(model, shards);
    expect(new Set(shards.flatMap(({ ranges }) => ranges.map((range) => range.file)))).toEqual(new Set([0, 1]));
  });
});

describe('experts', () => {
  test('are slices of stacked tensors, weights and biases alike, in the order of layers and experts', async () => {
    const model = await open([
      tensor('blk.1.ffn_up_exps.weight', [3, 64, 32]),
      tensor('blk.1.ffn_gate_exps.weight', [3, 64, 32]),
      tensor('blk.1.ffn_down_exps.weight', [3, 32, 64]),
      tensor('blk.1.ffn_down_exps.bias', [3, 32], F32),
      tensor('blk.1.ffn_gate_inp.weight', [3, 32]),
      tensor('blk.0.ffn_gate.weight', [64, 32]),
      tensor('output_norm.weight', [32]),
    ]);
    const { shards } = await planShards(model);
    expectToCover(model, shards);
    expect(idsOf(shards)).toEqual(['output_norm.weight', 'layer.0.trunk', 'layer.1.trunk', 'layer.1.expert.0', 'layer.1.expert.1', 'layer.1.expert.2']);
    const offset = (name: string) => model.tensors.get(name)?.offset ?? NaN;
    expect(shards[5]).toEqual({
      id: 'layer.1.expert.2',
      kind: 'expert',
      layer: 1,
      expert: 2,
      byteLength: 3 * 64 * 18 + 128,
      ranges: [
        { tensor: 'blk.1.ffn_up_exps.weight', file: 0, offset: offset('blk.1.ffn_up_exps.weight') + 2 * 64 * 18, length: 64 * 18, firstRow: 0, rows: 64 },
        { tensor: 'blk.1.ffn_gate_exps.weight', file: 0, offset: offset('blk.1.ffn_gate_exps.weight') + 2 * 64 * 18, length: 64 * 18, firstRow: 0, rows: 64 },
        { tensor: 'blk.1.ffn_down_exps.weight', file: 0, offset: offset('blk.1.ffn_down_exps.weight') + 2 * 32 * 36, length: 32 * 36, firstRow: 0, rows: 32 },
        { tensor: 'blk.1.ffn_down_exps.bias', file: 0, offset: offset('blk.1.ffn_down_exps.bias') + 2 * 128, length: 128, firstRow: 0, rows: 1 },
      ],
    });
  });

  test('may have a tensor each', async () => {
    const names = ['ffn_gate', 'ffn_up', 'ffn_down'];
    const model = await open([0, 1].flatMap((expert) => names.map((name) => tensor(`blk.0.${name}.${expert}.weight`, [32, 32]))));
    const { shards } = await planShards(model);
    expectToCover(model, shards);
    expect(shards.map(({ id, ranges }) => [id, ranges.map((range) => range.tensor)])).toEqual(
      [0, 1].map((expert) => [`layer.0.expert.${expert}`, names.map((name) => `blk.0.${name}.${expert}.weight`)]),
    );
  });

  test('may be one, whose dimension the file has dropped', async () => {
    const { shards } = await planShards(await open([tensor('blk.0.ffn_up_exps.weight', [32, 32]), tensor('blk.0.ffn_up_exps.bias', [32])]));
    expect(shards.map(({ id, byteLength }) => [id, byteLength])).toEqual([['layer.0.expert.0', 32 * 18 + 128]]);
  });

  test('shared ones are trunk', async () => {
    expect(idsOf((await planShards(await open([tensor('blk.0.ffn_up_shexp.weight', [32, 32])]))).shards)).toEqual(['layer.0.trunk']);
  });

  test('more than any model has are refused before anything is made of them', async () => {
    const stacked = Array.from({ length: 5 }, (_, layer) => ({ name: `blk.${layer}.ffn_up_exps.weight`, shape: [2 ** 18, 32, 32], offset: 0, byteLength: 2 ** 32 }));
    await expect(planShards(modelOf(new Blob(), stacked))).rejects.toMatchObject({ name: 'GgufError', code: 'gguf-limit', limit: 2 ** 20, what: 'tensor blk.4.ffn_up_exps.weight' });
  });
});

test('large trunk tensors are cut at rows', async () => {
  // 4,608 bytes a row: 3,640 rows fit, 3,616 are a multiple of 32.
  const model = modelOf(new Blob([new Uint8Array(13_641 * 4608)]), [
    { name: 'token_embd.weight', shape: [10_000, 8192], offset: 0, byteLength: 10_000 * 4608 },
    { name: 'blk.0.ffn_up.weight', shape: [3641, 8192], offset: 10_000 * 4608, byteLength: 3641 * 4608 },
  ]);
  const { shards } = await planShards(model);
  expectToCover(model, shards);
  expect(shards.map(({ id, layer, ranges }) => [id, layer, ranges[0]?.firstRow, ranges[0]?.rows])).toEqual([
    ['token_embd.weight.0', undefined, 0, 3616],
    ['token_embd.weight.1', undefined, 3616, 3616],
    ['token_embd.weight.2', undefined, 7232, 2768],
    ['blk.0.ffn_up.weight.0', 0, 0, 3616],
    ['blk.0.ffn_up.weight.1', 0, 3616, 25],
  ]);
});

describe('identity', () => {
  const { pairs, tensors } = tinyModel({ arch: 'olmoe' });
  const filled = tensors.map((info, i) => ({ ...info, data: randomBytes(Number(info.data), i) }));
  const file = writeGguf({ pairs, tensors: filled }).bytes;
  const idOf = async (source: Parameters<typeof readGguf>[0]) => (await planShards(await readGguf(source))).modelId;

  test('is the same for the same bytes, whatever they are called', async () => {
    const id = await idOf(new BlobSource(new Blob([file])));
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(await idOf(new BlobSource(new Blob([file.slice()])))).toBe(id);
    expect(await idOf(new MemorySource('other.gguf', file, {}, false))).toBe(id);
  });

  test('differs where the first or the last weight does, or a tensor', async () => {
    const id = await idOf(new BlobSource(new Blob([file])));
    const start = (await readGguf(new MemorySource('m.gguf', file))).files[0]?.headerBytes ?? 0;
    for (const at of [start, file.length - 1]) {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await idOf(new BlobSource(new Blob([changed])))).not.toBe(id);
    }
    const renamed = filled.map((info, i) => (i === 1 ? { ...info, name: 'other.weight' } : info));
    expect(await idOf(new BlobSource(new Blob([writeGguf({ pairs, tensors: renamed }).bytes])))).not.toBe(id);
  });

  test('of a File is by its date', async () => {
    const dated = (lastModified: number) => idOf(new BlobSource(new File([file], 'm.gguf', { lastModified })));
    expect(await dated(1)).toBe(await dated(1));
    expect(await dated(1)).not.toBe(await dated(2));
  });
});
