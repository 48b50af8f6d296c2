import { describe, expect, it } from 'vitest';
import { UnsupportedTensorTypeError } from '../../src/model/gguf/errors.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import * as limits from '../../src/model/gguf/limits.ts';
import { MemorySource } from './memory-source.ts';
import { read, refusalOf } from './refusals.ts';
import { F32, pair, Q4_0, strings, tensor, tinyModel } from './tiny-model.ts';
import { T, writeGguf } from './write-gguf.ts';

const U64_MAX = 2n ** 64n - 1n;

describe('what is no GGUF', () => {
  it.each(['GGUX', 'GGML', '<!DOCTYPE html><html><body>Not Found</body></html>'])('%s', async (text) => {
    const error = await refusalOf(new TextEncoder().encode(text.padEnd(64)), 'gguf-magic');
    expect(error.message).toContain('.gguf file');
  });

  it.each([0, 1, 4, 0x10001])('version %i', async (version) => {
    const error = await refusalOf({ version }, 'gguf-version');
    expect(error.value).toBe(version);
  });

  it('big-endian', async () => {
    const error = await refusalOf({ version: 0x03000000 }, 'gguf-byte-order');
    expect(error.message).toContain('Convert it to little-endian');
  });

  it('an empty file', async () => {
    await refusalOf(new Uint8Array(0), 'gguf-truncated');
  });
});

describe('truncation', () => {
  const { pairs, tensors } = tinyModel({ arch: 'olmoe' });
  const { bytes } = writeGguf({ pairs: [...pairs, pair('u16', T.array, { type: T.u16, values: [1, 2] }), pair('u64', T.u64, 7)], tensors });

  it.each([true, false])('at any byte; size known beforehand: %s', async (sizeKnown) => {
    for (let length = 0; length < bytes.length; length++) {
      const cut = new MemorySource('cut.gguf', bytes.slice(0, length), {}, sizeKnown);
      const error: unknown = await readGguf(cut).then(() => expect.unreachable(`accepted ${length} of ${bytes.length} bytes`), (refusal: unknown) => refusal);
      // With the size unknown the very first read of 24 bytes is the source's to refuse.
      if (sizeKnown || length >= 24) expect(error).toMatchObject({ code: 'gguf-truncated' });
    }
  });
});

describe('limits, each at and past its bound', () => {
  it('metadata count', async () => {
    const over = limits.MAX_METADATA_PAIRS + 1;
    const error = await refusalOf({ pairCount: BigInt(over) }, 'gguf-limit');
    expect(error).toMatchObject({ what: 'the metadata count', limit: limits.MAX_METADATA_PAIRS, value: BigInt(over), offset: 16 });
    await refusalOf({ pairCount: BigInt(limits.MAX_METADATA_PAIRS) }, 'gguf-truncated');
  });

  it('tensor count', async () => {
    const over = limits.MAX_TENSORS + 1;
    expect(await refusalOf({ tensorCount: BigInt(over) }, 'gguf-limit')).toMatchObject({ what: 'the tensor count', limit: limits.MAX_TENSORS });
    await refusalOf({ tensorCount: BigInt(limits.MAX_TENSORS) }, 'gguf-truncated');
  });

  it('key length', async () => {
    const longest = 'k'.repeat(limits.MAX_KEY_BYTES);
    expect((await read({ pairs: [pair(longest, T.u8, 1)] })).metadata.get(longest)).toBe(1);
    expect(await refusalOf({ pairs: [pair(`${longest}k`, T.u8, 1)] }, 'gguf-limit')).toMatchObject({ limit: limits.MAX_KEY_BYTES });
  });

  it('tensor name length', async () => {
    const longest = 't'.repeat(limits.MAX_TENSOR_NAME_BYTES);
    expect((await read({ tensors: [tensor(longest, [1])] })).tensors.has(longest)).toBe(true);
    expect(await refusalOf({ tensors: [tensor(`${longest}t`, [1])] }, 'gguf-limit')).toMatchObject({ limit: limits.MAX_TENSOR_NAME_BYTES });
  });

  it('string length', async () => {
    const over = BigInt(limits.MAX_STRING_BYTES + 1);
    expect(await refusalOf({ pairs: [pair('k', T.string, 'text')], lengths: new Map([['text', over]]) }, 'gguf-limit')).toMatchObject({ limit: limits.MAX_STRING_BYTES });
    await refusalOf({ pairs: [pair('k', T.string, 'text')], lengths: new Map([['text', over - 1n]]) }, 'gguf-truncated');
  });

  it('array length', async () => {
    const over = BigInt(limits.MAX_ARRAY_LENGTH + 1);
    const array = (count: bigint) => ({ pairs: [pair('k', T.array, { type: T.u8, values: [1], count })] });
    expect(await refusalOf(array(over), 'gguf-limit')).toMatchObject({ limit: limits.MAX_ARRAY_LENGTH, value: over });
    await refusalOf(array(over - 1n), 'gguf-truncated');
  });

  it('array nesting', async () => {
    const inner = { type: T.u8, values: [1] };
    await read({ pairs: [pair('k', T.array, inner)] });
    expect(await refusalOf({ pairs: [pair('k', T.array, { type: T.array, values: [inner] })] }, 'gguf-limit')).toMatchObject({ what: 'k', limit: limits.MAX_ARRAY_NESTING });
  });

  it('dimensions', async () => {
    await read({ tensors: [tensor('t', [1, 1, 1, 4], F32)] });
    for (const shape of [[], [1, 1, 1, 1, 4]]) {
      expect(await refusalOf({ tensors: [tensor('t', shape, F32)] }, 'gguf-tensor')).toMatchObject({ what: 'tensor t', value: shape.length });
    }
  });

  it('header size, in a source that claims to be endless', async () => {
    // 16 M numbers of 8 bytes fill the header's 128 MiB, so with what comes before they are past it.
    const { bytes } = writeGguf({ pairs: [pair('k', T.array, { type: T.u64, values: [], count: BigInt(limits.MAX_ARRAY_LENGTH) })] });
    const endless = new MemorySource('endless.gguf', bytes);
    Object.defineProperty(endless, 'size', { value: 2 ** 50 });
    endless.read = (_, length) => {
      const padded = new Uint8Array(length);
      padded.set(bytes);
      return Promise.resolve(padded);
    };
    await expect(readGguf(endless)).rejects.toMatchObject({ code: 'gguf-limit', limit: limits.MAX_HEADER_BYTES });
  });
});

describe('values that make no sense', () => {
  it('value types that GGUF does not have', async () => {
    for (const type of [13, 14, 255, 0xffffffff]) {
      expect(await refusalOf({ pairs: [pair('k', type, 1)] }, 'gguf-value')).toMatchObject({ what: 'type of k', value: type });
      await refusalOf({ pairs: [pair('k', T.array, { type, values: [1] })] }, 'gguf-value');
    }
  });

  it('booleans other than 0 and 1', async () => {
    await refusalOf({ pairs: [pair('k', T.bool, 2)] }, 'gguf-value');
    await refusalOf({ pairs: [pair('k', T.array, { type: T.bool, values: [1, 0, 255] })] }, 'gguf-value');
  });

  it('an empty key', async () => {
    await refusalOf({ pairs: [pair('', T.u32, 1)] }, 'gguf-value');
  });

  it('a key twice', async () => {
    expect(await refusalOf({ pairs: [pair('k', T.u8, 1), pair('k', T.string, 'x')] }, 'gguf-duplicate')).toMatchObject({ what: 'metadata key k' });
  });

  it('alignments', async () => {
    for (const value of [0, 1, 4, 12, 33, limits.MAX_ALIGNMENT * 2, 2 ** 31]) await refusalOf({ pairs: [pair('general.alignment', T.u32, value)] }, 'gguf-value');
    for (const type of [T.u64, T.i32, T.f32]) await refusalOf({ pairs: [pair('general.alignment', type, 32)] }, 'gguf-value');
    await refusalOf({ pairs: [pair('general.alignment', T.string, '32')] }, 'gguf-value');
    await refusalOf({ pairs: [pair('general.alignment', T.array, { type: T.u32, values: [32] })] }, 'gguf-value');
    await read({ pairs: [pair('general.alignment', T.u32, limits.MAX_ALIGNMENT)] });
    await read({ pairs: [pair('general.alignment', T.u32, limits.MIN_ALIGNMENT)] });
  });

  it('counts of strings and arrays that the file cannot hold', async () => {
    for (const type of [T.string, T.i64, T.u64]) {
      for (const count of [1000n, 2n ** 32n, 2n ** 61n, U64_MAX]) {
        const error = await refusalOf({ pairs: [pair('k', T.array, { type, values: [], count })] }, count === 1000n ? 'gguf-truncated' : 'gguf-limit');
        expect(error.what).toBe('length of k');
      }
    }
  });
});

describe('tensors that make no sense', () => {
  const refuse = async (ne: (number | bigint)[], code: 'gguf-tensor' | 'gguf-limit' | 'gguf-truncated', type = F32) =>
    expect(await refusalOf({ tensors: [{ name: 't', ne, type, data: 64 }] }, code)).toMatchObject({ what: expect.stringContaining('tensor t') });

  it('dimensions of 0', async () => {
    for (const ne of [[0], [32, 0], [0, 32], [32, 1, 0, 1]]) await refuse(ne, 'gguf-tensor');
  });

  it('dimensions and products beyond what a number holds', async () => {
    for (const ne of [[U64_MAX], [2n ** 63n], [2n ** 53n], [2 ** 52], [2 ** 30, 2 ** 30], [2 ** 20, 2 ** 20, 2 ** 20], [2 ** 31, 2 ** 31, 2 ** 31, 2 ** 31], [2n ** 63n, 2]]) {
      await refuse(ne, 'gguf-limit');
    }
  });

  it('rows that are no whole number of blocks', async () => {
    for (const columns of [1, 31, 33]) await refuse([columns, 4], 'gguf-tensor', Q4_0);
    await refuse([128, 4], 'gguf-tensor', 12);
  });

  it('types that ggml does not have or no longer has', async () => {
    for (const type of [4, 5, 31, 36, 1000, 0xffffffff]) {
      const error: unknown = await read({ tensors: [{ name: 't', ne: [32], type, data: 64 }] }).catch((refusal: unknown) => refusal);
      expect(error).toBeInstanceOf(UnsupportedTensorTypeError);
      expect(error).toMatchObject({ code: 'unsupported-tensor-type', tensor: 't', type: `type ${type}` });
    }
  });

  it('data past the end of the file', async () => {
    await refuse([17], 'gguf-truncated');
    await refuse([2 ** 40], 'gguf-truncated');
  });

  it('offsets', async () => {
    const at = (offset: number | bigint) => ({ tensors: [{ name: 't', ne: [16], type: F32, offset, data: 64 }] });
    for (const offset of [1, 16, 33]) expect(await refusalOf(at(offset), 'gguf-tensor')).toMatchObject({ what: 'tensor t', limit: 32 });
    for (const offset of [32, 2 ** 40, 2n ** 53n - 32n]) await refusalOf(at(offset), 'gguf-truncated');
    for (const offset of [2n ** 53n, U64_MAX - 31n, U64_MAX]) await refusalOf(at(offset), 'gguf-limit');
  });

  it('overlaps', async () => {
    const overlapping = { tensors: [{ ...tensor('a', [16]), offset: 32 }, { ...tensor('b', [16]), offset: 0 }, tensor('space', [64])] };
    expect(await refusalOf(overlapping, 'gguf-tensor')).toMatchObject({ what: 'tensor a' });
    await refusalOf({ tensors: [tensor('a', [8]), { ...tensor('b', [8]), offset: 0 }] }, 'gguf-tensor');
  });

  it('a name twice', async () => {
    expect(await refusalOf({ tensors: [tensor('t', [8]), tensor('t', [8])] }, 'gguf-duplicate')).toMatchObject({ what: 'tensor t' });
  });

  it('a name of invalid UTF-8', async () => {
    const { bytes, fields } = writeGguf({ tensors: [tensor('name', [8])] });
    bytes[fields.find(({ kind }) => kind === 'text')?.at ?? 0] = 0xff;
    await refusalOf(bytes, 'gguf-value');
  });
});

it('messages name the file, the field, the place and what to do', async () => {
  const error = await refusalOf({ pairs: [strings('tokenizer.ggml.tokens', ['a'])], pairCount: 5n }, 'gguf-truncated');
  expect(error.message).toMatch(/^test\.gguf: the metadata count ends at byte \d+, but the file has \d+ \(at byte 16\)\. The download is incomplete/);
  expect(error.details).toMatchObject({ file: 'test.gguf', what: 'the metadata count', offset: 16 });
});
