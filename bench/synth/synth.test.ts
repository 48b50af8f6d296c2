import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { specFromGguf } from '../../packages/runtime/src/model/families/index.ts';
import { readGguf } from '../../packages/runtime/src/model/gguf/read.ts';
import { createTokenizer } from '../../packages/runtime/src/model/tokenizer/tokenizer.ts';
import { PathSource } from '../../packages/runtime/src/shards/sources/path.ts';
import { dequantize } from '../../packages/shaders/test/reference/quants.ts';
import { BLOCK_TYPES, randomBlocks } from './blocks.ts';
import { Random } from './random.ts';
import { SHAPES } from './shapes.ts';
import { vocabulary } from './vocabulary.ts';
import { writeModel } from './write-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatefold-synth-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a model and reads its header back. */
async function written(shape: keyof typeof SHAPES, type: 'q4_0' | 'q4_k' | 'q8_0') {
  const path = join(folder, `${shape}-${type}.gguf`);
  const bytes = writeModel(path, shape, SHAPES[shape], type);
  return { bytes, file: readFileSync(path), gguf: await readGguf(new PathSource(path)) };
}

describe('synthetic models', () => {
  it.each([
    ['tiny-olmoe', 'q4_0'],
    ['tiny-olmoe', 'q8_0'],
    ['tiny-qwen3moe', 'q4_k'],
  ] as const)('%s in %s is a whole model that the families know', async (name, type) => {
    const { bytes, file, gguf } = await written(name, type);
    expect(file.length).toBe(bytes);
    const shape = SHAPES[name];
    const spec = await specFromGguf(gguf);
    expect(spec).toMatchObject({ arch: shape.arch, vocabSize: shape.vocab, hiddenSize: shape.hidden, contextLength: shape.context });
    expect(spec.layers).toHaveLength(shape.layers);
    expect(spec.layers[0]?.ffn).toMatchObject({ kind: 'moe', experts: shape.experts, topK: shape.topK, width: shape.expertWidth });
    expect(spec.layers[0]?.attention).toMatchObject({ heads: shape.heads, kvHeads: shape.kvHeads, headDim: shape.headDim });
    const tokenizer = await createTokenizer(gguf.metadata);
    const ids = tokenizer?.encode('Any text, 字 too.') ?? [];
    expect(tokenizer?.decode(ids)).toBe('Any text, 字 too.');
  });

  it('is the same file for the same seed, and experts differ', async () => {
    const { file, gguf } = await written('tiny-olmoe', 'q4_0');
    expect((await written('tiny-olmoe', 'q4_0')).file.equals(file)).toBe(true);
    const experts = gguf.tensors.get('blk.0.ffn_gate_exps.weight');
    const length = (experts?.byteLength ?? 0) / SHAPES['tiny-olmoe'].experts;
    const expert = (index: number) => file.subarray((experts?.offset ?? 0) + index * length).subarray(0, length).toString('latin1');
    expect(new Set(Array.from({ length: SHAPES['tiny-olmoe'].experts }, (_, index) => expert(index))).size).toBe(SHAPES['tiny-olmoe'].experts);
  });

  it.each(Object.values(BLOCK_TYPES))('$name blocks have mean 0 and the deviation that was asked for', (type) => {
    const count = (800 * 256) / type.blockSize;
    const values = dequantize(type.id, randomBlocks(type, count, 0.02, new Random(7)));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    expect(Math.abs(mean)).toBeLessThan(0.02 * 0.02);
    // MXFP4's scales are powers of two.
    expect(deviation / 0.02).toBeGreaterThan(0.7);
    expect(deviation / 0.02).toBeLessThan(1.6);
  });

  it.each(Object.entries(SHAPES))('has as many distinct tokens as %s needs', (_, { vocab }) => {
    const { tokens, merges } = vocabulary(vocab);
    expect(new Set(tokens).size).toBe(vocab);
    expect(new Set(merges).size).toBe(vocab - 257);
  });
});
