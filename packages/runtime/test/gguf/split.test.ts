import { describe, expect, it } from 'vitest';
import { GgufError } from '../../src/model/gguf/errors.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import { MemorySource } from './memory-source.ts';
import { pair, tensor } from './tiny-model.ts';
import { T, writeGguf, type WrittenPair } from './write-gguf.ts';

const COUNT = 10;
const nameOf = (number: number, count = COUNT): string => `m-${String(number).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`;

function part(index: number, extra: { count?: number; no?: number; tensors?: number; tensorNames?: string[]; more?: WrittenPair[] } = {}): Uint8Array<ArrayBuffer> {
  const { count = COUNT, no = index, tensors = COUNT * 2, tensorNames = [`t${index}.a`, `t${index}.b`], more = [] } = extra;
  return writeGguf({
    pairs: [pair('split.no', T.u16, no), pair('split.count', T.u16, count), pair('split.tensors.count', T.i32, tensors), ...more],
    tensors: tensorNames.map((name) => tensor(name, [8])),
  }).bytes;
}

const folder = (replaced: Record<string, Uint8Array<ArrayBuffer>> = {}): Record<string, Uint8Array<ArrayBuffer>> => ({
  ...Object.fromEntries(Array.from({ length: COUNT }, (_, index) => [nameOf(index + 1), part(index, index === 0 ? { more: [pair('general.name', T.string, 'split')] } : {})])),
  ...replaced,
});

function open(files: Record<string, Uint8Array<ArrayBuffer>>, name: string, prefix = ''): MemorySource {
  return new MemorySource(prefix + name, files[name] ?? new Uint8Array(), files);
}

const refusal = (source: MemorySource): Promise<unknown> => readGguf(source).then(() => expect.unreachable(), (error: unknown) => error);

describe('split models', () => {
  it.each([
    [1, ''],
    [4, ''],
    [10, 'https://example.org/models/'],
    [2, 'C:\\models\\'],
  ])('opened at part %i of %s', async (given, prefix) => {
    const source = open(folder(), nameOf(given), prefix);
    const model = await readGguf(source);
    expect(model.metadata.get('general.name')).toBe('split');
    expect(model.files).toHaveLength(COUNT);
    expect(model.files.slice(1).map((file) => file.source.name)).toEqual(Array.from({ length: COUNT - 1 }, (_, i) => nameOf(i + 2)));
    expect([...model.tensors.values()].map(({ name, file }) => [name, file])).toEqual(
      Array.from({ length: COUNT * 2 }, (_, i) => [`t${Math.floor(i / 2)}.${'ab'[i % 2]}`, Math.floor(i / 2)]),
    );
  });

  it('a name with a query', async () => {
    const files = folder();
    const source = new MemorySource(`https://example.org/${nameOf(1)}?download=true`, part(0), files);
    expect((await readGguf(source)).tensors.size).toBe(COUNT * 2);
  });

  it('one part only is a whole model', async () => {
    const model = await readGguf(new MemorySource('any.gguf', part(0, { count: 1 })));
    expect(model.files).toHaveLength(1);
  });

  it.each<[string, Record<string, Uint8Array<ArrayBuffer>>, number, RegExp]>([
    ['part of another split', folder({ [nameOf(3)]: part(2, { count: 11 }) }), 1, /m-00003-of-00010.gguf: the file is part 3 of 11/],
    ['part under the wrong name', folder({ [nameOf(3)]: part(2, { no: 5 }) }), 1, /m-00003-of-00010.gguf: the file is part 6 of 10/],
    ['first part under the wrong name', folder({ [nameOf(1)]: part(3) }), 2, /m-00001-of-00010.gguf: the file is part 4 of 10/],
    ['whole model among the parts', folder({ [nameOf(3)]: writeGguf({}).bytes }), 1, /m-00003-of-00010.gguf: the file is not part 3 of a model of 10 files/],
    ['tensors lost', folder({ [nameOf(3)]: part(2, { tensorNames: ['t2.a'] }) }), 1, /split.tensors.count is 20, but the 10 files have 19/],
    ['split.no beyond the count', folder({ [nameOf(1)]: part(0, { no: 10 }) }), 1, /split.no is 10/],
    ['too many parts', { [nameOf(1)]: part(0, { count: 65535 }) }, 1, /split.count is 65535/],
  ])('refuses: %s', async (_, files, given, message) => {
    const error = await refusal(open(files, nameOf(given)));
    expect(error).toBeInstanceOf(GgufError);
    expect(error).toMatchObject({ code: 'gguf-split', message: expect.stringMatching(message) });
  });

  it('names the part that is missing', async () => {
    const files = folder();
    delete files[nameOf(7)];
    expect(await refusal(open(files, nameOf(1)))).toMatchObject({ code: 'gguf-split', file: nameOf(7), message: expect.stringContaining('part 7 of 10 could not be read: no such file') });
    delete files[nameOf(1)];
    expect(await refusal(open(files, nameOf(2)))).toMatchObject({ code: 'gguf-split', file: nameOf(1) });
  });

  it('refuses a tensor that two parts have', async () => {
    const files = folder({ [nameOf(3)]: part(2, { tensorNames: ['t1.a', 't2.b'] }) });
    expect(await refusal(open(files, nameOf(1)))).toMatchObject({ code: 'gguf-duplicate', file: nameOf(3), what: 'tensor t1.a' });
  });

  it('passes a damaged part and an abort through', async () => {
    expect(await refusal(open(folder({ [nameOf(3)]: part(2).subarray(0, 60).slice() }), nameOf(1)))).toMatchObject({ code: 'gguf-truncated', file: nameOf(3) });
    const controller = new AbortController();
    const options = { signal: controller.signal, onBytes: () => controller.abort() };
    await expect(readGguf(open(folder(), nameOf(1)), options)).rejects.toThrowError('aborted');
  });

  it('tells how a renamed part should be called', async () => {
    expect(await refusal(new MemorySource('renamed.gguf', part(0)))).toMatchObject({ code: 'gguf-split', message: expect.stringContaining('-00001-of-00010.gguf') });
  });
});
