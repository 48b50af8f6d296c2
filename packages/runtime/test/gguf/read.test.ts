import { describe, expect, it } from 'vitest';
import { readGguf } from '../../src/model/gguf/read.ts';
import { MemorySource } from './memory-source.ts';
import { read, refusalOf } from './refusals.ts';
import { F32, pair, strings, tensor, tinyModel } from './tiny-model.ts';
import { T, writeGguf } from './write-gguf.ts';

describe('metadata values', () => {
  it('reads every type', async () => {
    const { metadata } = await read({
      pairs: [
        pair('u8', T.u8, 255),
        pair('i8', T.i8, -128),
        pair('u16', T.u16, 65535),
        pair('i16', T.i16, -32768),
        pair('u32', T.u32, 4294967295),
        pair('i32', T.i32, -2147483648),
        pair('f32', T.f32, 1.5),
        pair('f64', T.f64, 0.1),
        pair('true', T.bool, true),
        pair('false', T.bool, false),
        pair('string', T.string, 'żółw 🐢'),
        pair('u64', T.u64, 2n ** 53n - 1n),
        pair('i64', T.i64, -(2n ** 53n - 1n)),
        pair('large u64', T.u64, 2n ** 64n - 1n),
        pair('large i64', T.i64, -(2n ** 63n)),
      ],
    });
    expect(Object.fromEntries(metadata)).toEqual({
      u8: 255,
      i8: -128,
      u16: 65535,
      i16: -32768,
      u32: 4294967295,
      i32: -2147483648,
      f32: 1.5,
      f64: 0.1,
      true: true,
      false: false,
      string: 'żółw 🐢',
      u64: 2 ** 53 - 1,
      i64: -(2 ** 53 - 1),
      'large u64': 2n ** 64n - 1n,
      'large i64': -(2n ** 63n),
    });
  });

  it('reads arrays, numbers as typed arrays and booleans as bytes', async () => {
    const array = (key: string, type: number, values: (number | bigint | boolean)[]) => pair(key, T.array, { type, values });
    const { metadata } = await read({
      pairs: [
        array('u8', T.u8, [1, 255]),
        array('i8', T.i8, [-1, 127]),
        array('u16', T.u16, [1, 65535]),
        array('i16', T.i16, [-1, 32767]),
        array('u32', T.u32, [1, 4294967295]),
        array('i32', T.i32, [-1, 2147483647]),
        array('f32', T.f32, [0.5, -1]),
        array('f64', T.f64, [0.1, -1]),
        array('bool', T.bool, [true, false, true]),
        array('u64', T.u64, [1, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n]),
        array('i64', T.i64, [-1, -(2n ** 53n) + 1n, -(2n ** 53n), -(2n ** 63n)]),
        array('empty', T.i64, []),
        strings('strings', ['', 'a', 'ż']),
      ],
    });
    expect(Object.fromEntries(metadata)).toEqual({
      u8: Uint8Array.of(1, 255),
      i8: Int8Array.of(-1, 127),
      u16: Uint16Array.of(1, 65535),
      i16: Int16Array.of(-1, 32767),
      u32: Uint32Array.of(1, 4294967295),
      i32: Int32Array.of(-1, 2147483647),
      f32: Float32Array.of(0.5, -1),
      f64: Float64Array.of(0.1, -1),
      bool: Uint8Array.of(1, 0, 1),
      u64: [1, 2 ** 53 - 1, 2n ** 53n, 2n ** 63n],
      i64: [-1, -(2 ** 53) + 1, -(2n ** 53n), -(2n ** 63n)],
      empty: [],
      strings: ['', 'a', 'ż'],
    });
  });

  it('keeps a byte order mark, and takes cut UTF-8 in values (tokens may hold it) but not in keys', async () => {
    const { metadata } = await read({ pairs: [strings('tokens', ['\uFEFF', '\uFEFFa']), pair('cut', T.string, Uint8Array.of(0x61, 0xe2, 0x96))] });
    expect(metadata.get('tokens')).toEqual(['\uFEFF', '\uFEFFa']);
    expect(metadata.get('cut')).toBe('a\uFFFD');
    await refusalOf({ pairs: [{ key: Uint8Array.of(0xff, 0x61), type: T.u8, value: 1 }] }, 'gguf-value');
  });

  it('keeps keys apart from what objects have', async () => {
    const { metadata } = await read({ pairs: [pair('__proto__', T.u8, 1), pair('constructor', T.u8, 2)] });
    expect([...metadata]).toEqual([['__proto__', 1], ['constructor', 2]]);
  });
});

describe('tensors', () => {
  it.each([2, 3])('version %i: shapes outermost first, absolute offsets', async (version) => {
    const written = { version, tensors: [tensor('a', [3]), tensor('b', [2, 4, 64]), tensor('c', [2, 2], F32)] };
    const model = await read(written);
    const [file] = model.files;
    const start = file?.headerBytes ?? NaN;
    expect(model.version).toBe(version);
    expect([...model.tensors.values()]).toEqual([
      { name: 'a', type: 0, shape: [3], file: 0, offset: start, byteLength: 12 },
      { name: 'b', type: 2, shape: [2, 4, 64], file: 0, offset: start + 32, byteLength: 288 },
      { name: 'c', type: 0, shape: [2, 2], file: 0, offset: start + 320, byteLength: 16 },
    ]);
    expect(start + 336).toBe(writeGguf(written).bytes.length);
  });

  it.each([8, 256])('alignment %i', async (alignment) => {
    const model = await read({ alignment, pairs: [pair('general.alignment', T.u32, alignment)], tensors: [tensor('a', [3]), tensor('b', [3])] });
    const [a, b] = model.tensors.values();
    expect((a?.offset ?? 1) % alignment).toBe(0);
    expect((b?.offset ?? 0) - (a?.offset ?? 0)).toBe(Math.max(alignment, 16));
  });

  it('takes gaps between tensors and tensors out of order', async () => {
    const model = await read({ tensors: [{ ...tensor('a', [8]), offset: 96 }, { ...tensor('b', [8]), offset: 0 }, { name: 'space', ne: [16], type: F32, offset: 32, data: 128 }] });
    expect(model.tensors.size).toBe(3);
  });

  it('takes a file without tensors', async () => {
    expect((await read({})).tensors.size).toBe(0);
  });
});

describe('reading', () => {
  const vocabulary = strings('tokenizer.ggml.tokens', Array.from({ length: 150_000 }, (_, i) => `token ${i}`));
  const large = writeGguf({ pairs: [vocabulary, pair('after', T.u8, 7)], tensors: [tensor('a', [8192], F32), tensor('weights', [1024, 4096])] }).bytes;

  it('asks for 128 KiB, then for twice as much each time, and for no more than the header needs twice over', async () => {
    const source = new MemorySource('large.gguf', large);
    let counted = 0;
    const model = await readGguf(source, { onBytes: (bytes) => (counted += bytes) });
    expect(source.reads.slice(0, 3)).toEqual([
      { offset: 0, length: 128 * 1024 },
      { offset: 128 * 1024, length: 128 * 1024 },
      { offset: 256 * 1024, length: 256 * 1024 },
    ]);
    expect(counted).toBe(source.reads.reduce((sum, { length }) => sum + length, 0));
    expect(counted).toBeLessThan(2 * (model.files[0]?.headerBytes ?? 0));
    expect(model.metadata.get('after')).toBe(7);
    const tokens = model.metadata.get('tokenizer.ggml.tokens');
    expect(Array.isArray(tokens) && tokens.at(-1)).toBe('token 149999');
  });

  it('asks for 24 bytes first where the size is not known', async () => {
    const source = new MemorySource('small.gguf', writeGguf({ tensors: [tensor('a', [8])] }).bytes, {}, false);
    await readGguf(source);
    expect(source.reads).toEqual([{ offset: 0, length: 24 }, { offset: 24, length: source.bytes.length - 24 }]);
  });

  it('gives the same whatever the pieces that the bytes come in', async () => {
    const { pairs, tensors } = tinyModel({ arch: 'olmoe', layers: 2 });
    const { bytes } = writeGguf({ pairs: [...pairs, pair('u64s', T.array, { type: T.u64, values: [1, 2n ** 60n] })], tensors });
    const whole = await readGguf(new MemorySource('m.gguf', bytes));
    for (let firstReadBytes = 1; firstReadBytes < 600; firstReadBytes++) {
      const source = new MemorySource('m.gguf', bytes);
      const { metadata, tensors: found } = await readGguf(source, { firstReadBytes });
      expect(metadata).toEqual(whole.metadata);
      expect(found).toEqual(whole.tensors);
    }
  });

  it('reads a vocabulary of 150,000 tokens in half a second', async () => {
    const times: number[] = [];
    for (let run = 0; run < 3; run++) {
      const start = performance.now();
      await readGguf(new MemorySource('large.gguf', large));
      times.push(performance.now() - start);
    }
    expect(Math.min(...times)).toBeLessThan(500);
  });

  it('stops when aborted', async () => {
    const source = new MemorySource('large.gguf', large);
    await expect(readGguf(source, { signal: AbortSignal.abort() })).rejects.toThrowError('aborted');
  });
});
