import { describe, expect, it } from 'vitest';
import { MAX_ARRAY_NESTING } from '../../src/model/gguf/limits.ts';
import { read, refusalOf } from './refusals.ts';
import { F32, pair, Q4_0, strings, tensor } from './tiny-model.ts';
import { T, writeGguf, type WrittenArray } from './write-gguf.ts';

/** What native readers did with these files is in each name; here they are typed refusals before any allocation. */
describe('patterns of published GGUF vulnerabilities', () => {
  it('CVE-2024-21802: more dimensions than `info->ne` has room for overflow the heap', async () => {
    for (const count of [5, 16, 1000]) {
      const error = await refusalOf({ tensors: [{ name: 't', ne: Array.from({ length: count }, () => 1), type: F32, data: 32 }] }, 'gguf-tensor');
      expect(error).toMatchObject({ value: count, limit: 4 });
    }
    const { bytes, fields } = writeGguf({ tensors: [tensor('t', [8])] });
    new DataView(bytes.buffer).setUint32(fields.find(({ kind }) => kind === 'dimensions')?.at ?? 0, 0xffffffff, true);
    expect(await refusalOf(bytes, 'gguf-tensor')).toMatchObject({ value: 0xffffffff });
  });

  it('CVE-2024-21825: an array whose length times its element size wraps is allocated too small', async () => {
    // 2^61 elements of 8 bytes and 2^60 strings of 16 bytes are 2^64 bytes, which wraps to 0.
    await refusalOf({ pairs: [pair('k', T.array, { type: T.u64, values: [1], count: 2n ** 61n + 1n })] }, 'gguf-limit');
    await refusalOf({ pairs: [pair('k', T.array, { type: T.string, values: ['x'], count: 2n ** 60n + 1n })] }, 'gguf-limit');
  });

  it('CVE-2024-21836: `header.n_tensors` times the size of an info wraps', async () => {
    for (const tensorCount of [2n ** 64n - 1n, 2n ** 57n + 1n, 0x5555555555555556n]) {
      expect(await refusalOf({ tensorCount, tensors: [tensor('t', [8])] }, 'gguf-limit')).toMatchObject({ what: 'the tensor count', value: tensorCount });
    }
  });

  it('CVE-2024-23496 and CVE-2024-25665: a string length of 2^64 - 1 plus its terminator wraps to 0', async () => {
    for (const [where, file] of Object.entries({
      'a key': { pairs: [pair('text', T.u8, 1)] },
      'a value': { pairs: [pair('k', T.string, 'text')] },
      'an array element': { pairs: [strings('k', ['text'])] },
      'a tensor name': { tensors: [tensor('text', [8])] },
    })) {
      const error = await refusalOf({ ...file, lengths: new Map([['text', 2n ** 64n - 1n]]) }, 'gguf-limit');
      expect(error.value, where).toBe(2n ** 64n - 1n);
    }
  });

  it('CVE-2024-23605 and CVE-2024-25664: `header.n_kv` times the size of a pair wraps', async () => {
    for (const pairCount of [2n ** 64n - 1n, 2n ** 58n + 1n, 0x0555555555555556n]) {
      expect(await refusalOf({ pairCount, pairs: [pair('k', T.u8, 1)] }, 'gguf-limit')).toMatchObject({ what: 'the metadata count', value: pairCount });
    }
  });

  it('CVE-2024-25666: an unchecked tensor count, although small enough for the limit, runs past the file', async () => {
    await refusalOf({ tensorCount: 999_999n, tensors: [tensor('t', [8])] }, 'gguf-truncated');
  });

  it('CVE-2024-25667: array elements that the file does not hold', async () => {
    for (const type of [T.u8, T.i16, T.f32, T.f64, T.bool]) {
      await refusalOf({ pairs: [pair('k', T.array, { type, values: [1, 1], count: 1_000_000n })] }, 'gguf-truncated');
    }
  });

  it('CVE-2024-25668: an array of strings that claims more of them than the file holds', async () => {
    await refusalOf({ pairs: [pair('k', T.array, { type: T.string, values: ['a', 'b'], count: 1_000_000n })] }, 'gguf-truncated');
    await refusalOf({ pairs: [pair('k', T.array, { type: T.string, values: ['a', 'b'], count: 3n })] }, 'gguf-truncated');
  });

  it('CVE-2024-32878: a pair that breaks off frees memory that was never set', async () => {
    const { bytes, fields } = writeGguf({ pairs: [pair('first', T.string, 'x'), strings('second', ['a', 'b', 'c'])] });
    const last = fields.at(-1)?.at ?? 0;
    await refusalOf(bytes.slice(0, last), 'gguf-truncated');
    new DataView(bytes.buffer).setUint32(fields.findLast(({ kind }) => kind === 'type')?.at ?? 0, 99, true);
    await refusalOf(bytes, 'gguf-value');
  });

  it('CVE-2024-39720: a file of four bytes', async () => {
    await refusalOf(new TextEncoder().encode('GGUF'), 'gguf-truncated');
    await refusalOf(new TextEncoder().encode('GGLA'), 'gguf-magic');
  });

  it('CVE-2025-0312: a tensor with a dimension of zero', async () => {
    await refusalOf({ tensors: [{ name: 'token_embd.weight', ne: [0, 0], type: F32, data: 0 }] }, 'gguf-tensor');
  });

  it('CVE-2025-0315: inflated dimensions make the reader allocate without bound', async () => {
    await refusalOf({ tensors: [{ name: 't', ne: [2 ** 40, 2 ** 8], type: F32, data: 64 }] }, 'gguf-truncated');
  });

  it('CVE-2025-0317 and CVE-2024-12055: an alignment of 0 divides by zero', async () => {
    await refusalOf({ pairs: [pair('general.alignment', T.u32, 0)], tensors: [tensor('t', [8])] }, 'gguf-value');
  });

  it('CVE-2025-49847: a token too long for a signed 32-bit length', async () => {
    await refusalOf({ pairs: [strings('tokenizer.ggml.tokens', ['text'])], lengths: new Map([['text', 2n ** 31n]]) }, 'gguf-limit');
    const long = 'x'.repeat(1_000_000);
    const { metadata } = await read({ pairs: [strings('tokenizer.ggml.tokens', ['a', long, 'b'])] });
    expect(metadata.get('tokenizer.ggml.tokens')).toEqual(['a', long, 'b']);
  });

  it('CVE-2025-53630: the sum of padded tensor sizes wraps', async () => {
    // Each is below 2^63 bytes, both together are past 2^64.
    const half = { ne: [2n ** 61n - 8n], type: F32, data: 32 };
    await refusalOf({ tensors: [{ name: 'a', ...half }, { name: 'b', ...half, offset: 2n ** 63n - 32n }, { name: 'c', ...half, offset: 2n ** 63n }] }, 'gguf-limit');
    const large = { ne: [2 ** 50], type: F32, data: 32 };
    await refusalOf({ tensors: [{ name: 'a', ...large }, { name: 'b', ...large, offset: 2 ** 52 }] }, 'gguf-truncated');
  });

  it('CVE-2025-66960: a string length that turns negative as a signed number', async () => {
    for (const length of [2n ** 63n, 2n ** 63n + 5n, 2n ** 32n - 1n, 2n ** 31n]) {
      await refusalOf({ pairs: [pair('k', T.string, 'text')], lengths: new Map([['text', length]]) }, 'gguf-limit');
    }
  });

  it('CVE-2026-7482: a tensor declared larger than its data reads what lies behind it', async () => {
    await refusalOf({ tensors: [tensor('a', [8]), { ...tensor('b', [1024, 1024]), data: 32 }] }, 'gguf-truncated');
    await refusalOf({ tensors: [{ ...tensor('a', [64]), data: 32 }, tensor('b', [64])] }, 'gguf-tensor');
  });

  it('CVE-2026-27940: the tensor count times the overhead plus the sum of sizes wraps', async () => {
    const large = { name: 't', ne: [2n ** 62n - 8n], type: 24, data: 32 };
    await refusalOf({ tensors: [large] }, 'gguf-limit');
    await refusalOf({ tensorCount: 2n ** 40n, tensors: [large] }, 'gguf-limit');
  });

  it('CVE-2026-33298: dimensions whose product wraps to a small one', async () => {
    for (const ne of [[2n ** 42n + 1n, 2n ** 22n], [2n ** 32n, 2n ** 32n], [32n, 2n ** 59n + 1n], [2n ** 63n, 2n, 1n, 1n]]) {
      await refusalOf({ tensors: [{ name: 't', ne, type: Q4_0, data: 64 }].map((hostile) => ({ ...hostile, ne: [32n, ...hostile.ne].slice(0, 4) })) }, 'gguf-limit');
    }
  });

  it('CVE-2026-53923: a dimension that is small once cut to 32 bits', async () => {
    await refusalOf({ tensors: [{ name: 't', ne: [2n ** 32n + 32n, 1], type: F32, data: 128 }] }, 'gguf-truncated');
  });

  it('nested arrays exhaust the stack of a recursive reader', async () => {
    const nest = (depth: number): WrittenArray => (depth === 0 ? { type: T.u8, values: [] } : { type: T.array, values: [nest(depth - 1)] });
    expect(await refusalOf({ pairs: [pair('k', T.array, nest(2000))] }, 'gguf-limit')).toMatchObject({ limit: MAX_ARRAY_NESTING });
  });
});
