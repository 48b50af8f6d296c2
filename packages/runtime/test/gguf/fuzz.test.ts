import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GatefoldError } from '../../src/errors.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import type { GgufModel, GgufValue, TensorInfo } from '../../src/model/gguf/types.ts';
import { leastCost, measure } from './measure.ts';
import { MemorySource } from './memory-source.ts';
import { anyValue, EVERY_TYPE, mutate, mutations, type FuzzedFile } from './mutate.ts';
import { MIXER_FAMILIES, tinyMixerModel } from './tiny-mixers.ts';
import { pair, strings, tinyModel } from './tiny-model.ts';
import { T, writeGguf } from './write-gguf.ts';

/** Together 100,000. */
const FILES = 60_000;
const MODELS = 40_000;

/** Errors with their stacks, promises and maps cost this much, however small the file. */
const FIXED_BYTES = 128 * 1024;
const MAX_TIMES_INPUT = 4;
/** In pieces, each byte is also in the source's piece and in two of the buffers that double; all but the last are garbage. */
const PIECES_TIMES_INPUT = 3;
const MAX_MILLISECONDS = 1000;

const OPTIONS = [{ arch: 'llama' }, { arch: 'llama', experts: 2 }, { arch: 'qwen3' }, { arch: 'olmoe', layers: 2 }, { arch: 'qwen3moe' }, { arch: 'prmoe' }] as const;
const KINDS = [...OPTIONS.map((options) => () => tinyModel(options)), ...MIXER_FAMILIES.map((arch) => () => tinyMixerModel(arch))];

/** A valid file of each family, with values of all types, and one with a vocabulary that outweighs all else. */
async function validFiles(): Promise<FuzzedFile[]> {
  return Promise.all(
    [...KINDS, () => tinyModel({ arch: 'llama' })].map(async (tiny, i) => {
      const { pairs, tensors } = tiny();
      const extra = EVERY_TYPE.flatMap((type) => [pair(`one.${type}`, type, 1), pair(`many.${type}`, T.array, { type, values: [1, 0, 1] })]);
      const vocabulary = strings('tokenizer.ggml.merges', Array.from({ length: i < KINDS.length ? 2 : 3000 }, (_, n) => `m ${n}`));
      const { bytes, fields } = writeGguf({ pairs: [...pairs, ...extra, vocabulary], tensors });
      const model = await readGguf(new MemorySource('valid.gguf', bytes));
      await specFromGguf(model);
      return { bytes, fields, headerBytes: model.files[0]?.headerBytes ?? 0 };
    }),
  );
}

/** What became of the cases: fuzzing that only ever hits the first check proves nothing. */
class Outcomes {
  readonly counts = new Map<string, number>();
  worstMilliseconds = 0;
  measured = 0;

  add(outcome: string): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }

  /** Runs a case: it must end in time, with a result or a typed error, and allocate no more than allowed. */
  async check(inputBytes: number, run: () => Promise<void>, timesInput = MAX_TIMES_INPUT): Promise<void> {
    let outcome = 'accepted';
    const typed = async (): Promise<void> => {
      try {
        await run();
      } catch (error) {
        if (!(error instanceof GatefoldError)) throw error;
        outcome = error.code;
      }
    };
    const bound = timesInput * inputBytes + FIXED_BYTES;
    const { bytes, milliseconds } = await leastCost(typed, { bytes: bound, milliseconds: MAX_MILLISECONDS });
    this.add(outcome);
    this.worstMilliseconds = Math.max(this.worstMilliseconds, milliseconds);
    if (bytes >= 0) this.measured++;
    if (bytes > bound) throw new Error(`allocated ${bytes} bytes for ${inputBytes}`);
    if (milliseconds > MAX_MILLISECONDS) throw new Error(`took ${milliseconds} ms`);
  }

  report(name: string, cases: number, seed: number): void {
    console.log(`${name}: ${cases} cases, seed ${seed}, slowest ${this.worstMilliseconds.toFixed(1)} ms`, Object.fromEntries(this.counts));
    expect(this.measured).toBeGreaterThan(0.95 * cases);
  }
}

it('the measure sees array buffers and objects', async () => {
  const kept: unknown[] = [];
  const buffer = await measure(() => Promise.resolve().then(() => void kept.push(new Uint8Array(1_000_000))));
  const objects = await measure(() => Promise.resolve().then(() => void kept.push(Array.from({ length: 50_000 }, (_, i) => ({ i })))));
  expect(buffer.bytes).toBeGreaterThan(1_000_000);
  expect(objects.bytes).toBeGreaterThan(1_000_000);
});

const newSeed = (): number => Math.floor(Math.random() * 2 ** 31);

it(`${FILES} damaged and hostile files: no hang, no untyped throw, no allocation over ${MAX_TIMES_INPUT} times the file`, async () => {
  const files = await validFiles();
  const outcomes = new Outcomes();
  const seed = newSeed();
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: files.length - 1 }), mutations, fc.option(fc.integer({ min: 24, max: 4000 }), { freq: 1 }), async (which, changes, firstReadBytes) => {
      const bytes = mutate(pick(files, which), changes);
      const source = new MemorySource('fuzz.gguf', bytes);
      const read = async (): Promise<void> => {
        await specFromGguf(await readGguf(source, firstReadBytes === null ? {} : { firstReadBytes }));
      };
      await outcomes.check(bytes.length, read, MAX_TIMES_INPUT + (firstReadBytes === null ? 0 : PIECES_TIMES_INPUT));
    }),
    { numRuns: FILES, seed },
  );
  outcomes.report('files', FILES, seed);
  for (const outcome of ['accepted', 'gguf-truncated', 'gguf-limit', 'gguf-value', 'gguf-tensor', 'gguf-duplicate', 'unsupported-tensor-type', 'model-metadata', 'model-tensor', 'unsupported-family']) {
    expect(outcomes.counts.get(outcome), outcome).toBeGreaterThan(5);
  }
}, 120_000);

it(`${MODELS} models of hostile metadata and tensors: the same of the families`, async () => {
  const models = await Promise.all((await validFiles()).slice(0, KINDS.length).map(async ({ bytes, headerBytes }) => ({ headerBytes, model: await readGguf(new MemorySource('valid.gguf', bytes)) })));
  const outcomes = new Outcomes();
  const seed = newSeed();
  const keyChange = fc.record({ key: fc.noBias(fc.nat()), value: fc.option(anyValue) });
  const optional = fc.constantFrom('attention.key_length', 'attention.value_length', 'attention.scale', 'rope.dimension_count', 'rope.scaling.type', 'rope.scaling.factor', 'rope.scale_linear', 'rope.scaling.yarn_ext_factor', 'rope.scaling.original_context_length', 'expert_count', 'expert_used_count', 'expert_feed_forward_length', 'expert_weights_norm', 'expert_weights_scale', 'expert_gating_func', 'residual', 'hidden_activation', 'vocab_size');
  const tensorChange = fc.record({ which: fc.noBias(fc.nat()), shape: fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 4 }), type: fc.nat({ max: 45 }), drop: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: models.length - 1 }),
      fc.array(keyChange, { maxLength: 2 }),
      fc.array(fc.record({ key: optional, value: anyValue }), { maxLength: 2 }),
      fc.array(tensorChange, { maxLength: 1 }),
      async (which, keyChanges, additions, tensorChanges) => {
        const { model, headerBytes } = pick(models, which);
        const metadata = new Map(model.metadata);
        const keys = [...metadata.keys()].filter((key) => !/^(one|many)\./.test(key));
        for (const { key, value } of keyChanges) setOrDelete(metadata, pick(keys, key), value);
        const arch = String(model.metadata.get('general.architecture'));
        for (const { key, value } of additions) setOrDelete(metadata, `${arch}.${key}`, value);
        const tensors = new Map(model.tensors);
        for (const change of tensorChanges) changeTensor(tensors, change);
        const changed: GgufModel = { ...model, metadata, tensors };
        await outcomes.check(headerBytes, async () => void (await specFromGguf(changed)));
      },
    ),
    { numRuns: MODELS, seed },
  );
  outcomes.report('models', MODELS, seed);
  for (const outcome of ['accepted', 'unsupported-family', 'model-metadata', 'model-tensor', 'unsupported-tensor-type']) {
    expect(outcomes.counts.get(outcome), outcome).toBeGreaterThan(20);
  }
}, 120_000);

function pick<Item>(items: readonly Item[], which: number): Item {
  return items[which % items.length] ?? expect.unreachable('nothing to pick from');
}

function setOrDelete(metadata: Map<string, GgufValue>, key: string, value: GgufValue | null): void {
  if (value === null) metadata.delete(key);
  else metadata.set(key, value);
}

function changeTensor(tensors: Map<string, TensorInfo>, { which, shape, type, drop }: { which: number; shape: number[]; type: number; drop: boolean }): void {
  const [name, info] = pick([...tensors], which);
  if (drop) tensors.delete(name);
  else tensors.set(name, which % 2 === 0 ? { ...info, type } : { ...info, shape });
}
