import { samplerScratchBytes } from '../../src/sampler-scratch.ts';
import { MOST_FEW } from '../../src/gemm.ts';
import { sampler, samplerRows } from '../../src/sampler.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { chosenIds, logProbability, PLAIN, settingsUniform, type Settings } from '../reference/sampling.ts';

interface Draws {
  readonly logits: Float32Array<ArrayBuffer>;
  readonly settings?: Settings;
  readonly mode?: 'greedy' | 'sample';
  readonly seen?: Uint32Array<ArrayBuffer>;
  /** Position and tokens of the pass before the first draw; later draws follow one token each. */
  readonly start?: number;
  readonly count?: number;
  /** How many tokens are drawn, all from the same logits. */
  readonly draws?: number;
}

interface Drawn {
  readonly id: number;
  readonly status: number;
  readonly logProbability: number;
  readonly position: number;
}

/** Draws tokens one after the other in one submit; checks that batch and ids are made ready for the next pass. */
async function draw(t: KernelTest, { logits, settings = PLAIN, mode = 'sample', seen, start = 0, count = 1, draws = 1 }: Draws): Promise<readonly Drawn[]> {
  const results = t.output(draws * 256);
  const batch = t.input(Uint32Array.of(start, count));
  const ids = t.output(16);
  const args = {
    label: 'sample',
    mode,
    logits: t.input(logits),
    vocab: logits.length,
    sampling: t.input(settingsUniform(settings)),
    seen: t.input(seen ?? new Uint32Array(logits.length)),
    batch,
    ids,
    scratch: t.output(samplerScratchBytes(logits.length)),
  };
  const steps = Array.from({ length: draws }, (_, i) => sampler(t.context, { ...args, result: { buffer: results.buffer, offset: i * 256, size: 16 } }));
  await t.run((await Promise.all(steps)).flat());
  const view = new DataView(await t.readBytes(results));
  const drawn = Array.from({ length: draws }, (_, i): Drawn => ({
    id: view.getUint32(i * 256, true),
    status: view.getUint32(i * 256 + 4, true),
    logProbability: view.getFloat32(i * 256 + 8, true),
    position: view.getUint32(i * 256 + 12, true),
  }));
  expectEqual('positions', drawn.map(({ position }) => position), drawn.map((_, i) => start + count + i));
  expectEqual('batch', await t.readInts(batch, 2), [start + count + draws - 1, 1]);
  expectEqual('ids[0]', await t.readInts(ids, 1), [drawn.at(-1)?.id ?? NaN]);
  return drawn;
}

/** Draws, and compares every token with what the reference chooses, and its log-probability. */
async function expectDraws(t: KernelTest, name: string, request: Draws): Promise<readonly Drawn[]> {
  const { logits, settings = PLAIN, mode = 'sample', seen = new Uint32Array(logits.length), start = 0, count = 1 } = request;
  const expectedSettings = mode === 'greedy' ? { ...PLAIN, temperature: 0 } : settings;
  const drawn = await draw(t, request);
  for (const [i, { id, status }] of drawn.entries()) {
    const chosen = chosenIds(logits, seen, start + count + i, expectedSettings);
    if (!chosen.has(id)) throw new Error(`${name}: draw ${i} is ${id}, expected ${[...chosen].join(' or ')}`);
    expectEqual(`${name}: status`, [status], [Number(logits.some(Number.isNaN))]);
  }
  const expected = drawn.map(({ id }) => logProbability(logits, id));
  expectClose(`${name}: log-probabilities`, drawn.map((each) => each.logProbability), expected, { relative: 1e-5, absolute: 1e-5 });
  return drawn;
}

/** Logits as a language model has them: most far below a few. */
function modelLogits(t: KernelTest, vocab: number): Float32Array<ArrayBuffer> {
  return t.randomNormal(vocab, 3).map((logit) => logit + (t.randomInt(20) === 0 ? 10 * t.random() : 0));
}

/** Logits of which many are equal. */
function tiedLogits(t: KernelTest, vocab: number, values: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: vocab }, () => t.randomInt(values) / 2 - 1);
}

for (const vocab of [1, 65, 255, 256, 257, 1024, 1025, 50_257, 151_936]) {
  kernelCase(`sampler greedy of ${vocab}`, async (t) => {
    await expectDraws(t, 'random', { logits: modelLogits(t, vocab), mode: 'greedy', start: 5, count: 7 });
    await expectDraws(t, 'ties', { logits: tiedLogits(t, vocab, 3), mode: 'greedy', draws: 2 });
  });

  kernelCase(`sampler of ${vocab}`, async (t) => {
    const logits = modelLogits(t, vocab);
    const seed = t.randomInt(2 ** 32);
    const large = vocab > 2000;
    const base = { logits, draws: large ? 2 : 5, start: t.randomInt(1000), count: 3 };
    const tries: Readonly<Record<string, Partial<Settings>>> = {
      'softmax': {},
      'greedy': { temperature: 0 },
      'hot': { temperature: 5 },
      'usual': { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 },
      'top-k': { topK: 1 + t.randomInt(vocab), temperature: 3 },
      'top-p': { topP: t.random(), temperature: 2 },
      'top-k and top-p': { topK: 1 + t.randomInt(vocab), topP: t.random(), temperature: 2 },
      'min-p': { minP: 0.01 * t.random(), temperature: 3 },
    };
    for (const [name, changes] of Object.entries(tries)) await expectDraws(t, name, { ...base, settings: { ...PLAIN, seed, ...changes } });
  });
}

/** Cases that are not about sizes have this one, since each compiles kernels of its own: several workgroups, the last one partly used. */
const SOME_VOCAB = 3000;

const odd: Readonly<Record<string, (t: KernelTest) => Float32Array<ArrayBuffer>>> = {
  'all equal': () => new Float32Array(SOME_VOCAB).fill(1.25),
  'all 0, of both signs': (t) => Float32Array.from({ length: SOME_VOCAB }, () => (t.randomInt(2) ? 0 : -0)),
  'many ties': (t) => tiedLogits(t, SOME_VOCAB, 7),
  'two values, ties across workgroups': (t) => tiedLogits(t, SOME_VOCAB, 2),
  'most masked': (t) => t.randomNormal(SOME_VOCAB).map((logit) => (t.randomInt(50) ? -Infinity : logit)),
  'all but one masked': () => new Float32Array(SOME_VOCAB).fill(-Infinity).fill(-3, 1500, 1501),
  'all masked': () => new Float32Array(SOME_VOCAB).fill(-Infinity),
  'softly masked': (t) => t.randomNormal(SOME_VOCAB).map((logit) => (t.randomInt(3) ? -1e9 : logit)),
  'an infinite one': (t) => t.randomNormal(SOME_VOCAB).fill(Infinity, 400, 401),
  'NaNs': (t) => t.randomNormal(SOME_VOCAB).map((logit) => (t.randomInt(100) ? logit : NaN)).fill(NaN, 3, 4),
  'tiny differences': (t) => t.randomNormal(SOME_VOCAB, 1e-4),
  'huge differences': (t) => t.randomNormal(SOME_VOCAB, 1e4),
  'negative': (t) => t.randomNormal(SOME_VOCAB).map((logit) => logit - 100),
};
for (const [name, make] of Object.entries(odd)) {
  kernelCase(`sampler, ${name}`, async (t) => {
    const logits = make(t);
    const vocab = logits.length;
    await expectDraws(t, 'greedy', { logits, mode: 'greedy' });
    const expectSettings = (changes: Partial<Settings>): Promise<readonly Drawn[]> => {
      const settings = { ...PLAIN, temperature: 3, seed: t.randomInt(2 ** 32), ...changes };
      return expectDraws(t, JSON.stringify(settings), { logits, draws: 2, settings });
    };
    for (const topK of [0, 1, 2, 40, 255, 256, 257, vocab - 1, vocab, 2 ** 31]) await expectSettings({ topK });
    for (const topP of [0, 1e-30, 1e-4, 0.5, 0.9, 0.999, 1]) await expectSettings({ topP });
    for (const topK of [1, 2, 40, 256, vocab - 1]) await expectSettings({ topK, topP: t.random() });
  });
}

kernelCase('sampler min-p', async (t) => {
  const logits = t.randomNormal(SOME_VOCAB, 2);
  for (const minP of [0, 1e-30, 0.01, 0.3, 0.999, 1]) {
    await expectDraws(t, `min-p ${minP}`, { logits, draws: 10, settings: { ...PLAIN, minP, temperature: 10 } });
  }
  await expectDraws(t, 'after top-p', { logits, draws: 10, settings: { ...PLAIN, minP: 0.02, topP: 0.9, topK: 300, temperature: 10 } });
});

kernelCase('sampler temperatures', async (t) => {
  const logits = t.randomNormal(SOME_VOCAB, 2);
  for (const temperature of [0, 1e-38, 1e-30, 0.01, 0.5, 1.5, 100]) {
    await expectDraws(t, `${temperature}`, { logits, draws: 5, settings: { ...PLAIN, temperature } });
  }
});

kernelCase('sampler cuts at shares that are hit exactly', async (t) => {
  // Four tokens of probability 1/4 each: a share of 1/2 takes two, and anything more three.
  const logits = new Float32Array(SOME_VOCAB).fill(-200).fill(0, 100, 104);
  for (const [topP, kept] of [[0.25, 1], [0.5, 2], [0.5001, 3], [0.75, 3]] as const) {
    const drawn = await draw(t, { logits, draws: 60, settings: { ...PLAIN, topP } });
    const ids = [...new Set(drawn.map(({ id }) => id))].sort((a, b) => a - b);
    expectEqual(`top-p ${topP}`, ids, Array.from({ length: kept }, (_, i) => 100 + i));
  }
});

kernelCase('sampler repeat penalty at the edges of its window', async (t) => {
  const length = 100;
  const logits = Float32Array.of(5, 4.9, 4.8, 4.7, 3, -1, -2);
  // 1 + last position: window's newest and oldest place, one too old, one beyond the end, never.
  const seen = Uint32Array.of(length, length - 9, length - 10, length + 1, 0, length, length - 20);
  for (const penaltyWindow of [0, 1, 9, 10, 11, 100, 2 ** 32 - 1]) {
    for (const repeatPenalty of [0.5, 1, 1.25, 4]) {
      const settings = { ...PLAIN, penaltyWindow, repeatPenalty };
      const request = { logits, seen, start: length - 4, count: 4 };
      await expectDraws(t, `window ${penaltyWindow}, greedy`, { ...request, settings: { ...settings, temperature: 0 }, draws: 3 });
      await expectDraws(t, `window ${penaltyWindow}`, { ...request, settings, draws: 8 });
    }
  }
});

kernelCase('sampler repeat penalty of a whole vocabulary', async (t) => {
  const logits = modelLogits(t, SOME_VOCAB);
  const seen = Uint32Array.from(logits, () => t.randomInt(200));
  const settings = { ...PLAIN, repeatPenalty: 1.3, topK: 50, topP: 0.9, temperature: 1.5 };
  await expectDraws(t, 'drawn', { logits, seen, start: 150, count: 1, draws: 40, settings });
  await expectDraws(t, 'greedy', { logits, seen, start: 150, count: 1, draws: 40, settings: { ...settings, temperature: 0 } });
});

kernelCase('sampler draws as the probabilities say', async (t) => {
  // Fixed seeds, so this either holds or does not. Logits -0.1 i.
  const vocab = 60;
  const logits = Float32Array.from({ length: vocab }, (_, i) => -0.1 * ((i * 37) % vocab));
  const draws = 600;
  for (const [temperature, seed] of [[1, 7], [0.5, 123456789], [3, 4000000000]] as const) {
    const drawn = await draw(t, { logits, draws, settings: { ...PLAIN, temperature, seed } });
    const counts = new Float64Array(vocab);
    for (const { id } of drawn) counts[id] = (counts[id] ?? 0) + 1;
    const powers = Float64Array.from(logits, (logit) => Math.exp(logit / temperature));
    const total = powers.reduce((a, b) => a + b);
    // Cells of at least five expected draws; the rest make one.
    const cells = new Map<number, { observed: number; expected: number }>();
    for (const [id, power] of powers.entries()) {
      const expected = (draws * power) / total;
      const key = expected >= 5 ? id : -1;
      const cell = cells.get(key) ?? { observed: 0, expected: 0 };
      cells.set(key, { observed: cell.observed + (counts[id] ?? 0), expected: cell.expected + expected });
    }
    const chiSquare = [...cells.values()].reduce((sum, { observed, expected }) => sum + (observed - expected) ** 2 / expected, 0);
    // Mean plus four deviations of the chi-square distribution.
    const freedom = cells.size - 1;
    if (chiSquare > freedom + 4 * Math.sqrt(2 * freedom)) throw new Error(`chi-square is ${chiSquare} with ${freedom} degrees of freedom`);
  }
});

kernelCase('sampler draws the same for the same seed and position, however they come about', async (t) => {
  // None stands out, so that draws differ; a model's logits may leave one token nearly all.
  const logits = t.randomNormal(SOME_VOCAB);
  const settings = { ...PLAIN, topK: 2000, topP: 0.98, temperature: 1.5, seed: t.randomInt(2 ** 32) };
  const ids = async (request: Omit<Draws, 'logits'>): Promise<number[]> => (await draw(t, { logits, settings, ...request })).map(({ id }) => id);
  const one = await ids({ start: 0, count: 30, draws: 20 });
  expectEqual('again', await ids({ start: 0, count: 30, draws: 20 }), one);
  expectEqual('other chunks', await ids({ start: 25, count: 5, draws: 20 }), one);
  expectEqual('from the middle', await ids({ start: 39, count: 1, draws: 10 }), one.slice(10));
  const other = await ids({ start: 0, count: 30, draws: 20, settings: { ...settings, seed: (settings.seed + 1) % 2 ** 32 } });
  if (other.every((id, i) => id === one[i])) throw new Error('another seed draws the same');
});

kernelCase('sampler refuses what it cannot serve', async (t) => {
  const buffer = t.output(64);
  const args = { label: 'sample', logits: buffer, sampling: buffer, seen: buffer, batch: buffer, ids: buffer, result: buffer, scratch: buffer, mode: 'sample' } as const;
  for (const vocab of [0, 1.5, 2 ** 19, 100]) {
    const error = await sampler(t.context, { ...args, vocab }).catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error(`a vocabulary of ${vocab} is not refused`);
  }
});

for (const mode of ['greedy', 'sample'] as const) {
  kernelCase(`sampler of several sessions, ${mode}`, async (t) => {
    const vocab = SOME_VOCAB;
    const stride = vocab + 72;
    // The third row is nobody's.
    const settings = [{ ...PLAIN, temperature: 0.8, topK: 40, topP: 0.9, seed: 7 }, { ...PLAIN, temperature: 0 }, PLAIN, { ...PLAIN, temperature: 2, repeatPenalty: 1.5, seed: 9 }].map((each) =>
      mode === 'greedy' ? { ...PLAIN, temperature: 0 } : each,
    );
    const owned = [1, 1, 0, 1];
    const starts = [5, 900, 3, 60];
    const logits = settings.map(() => modelLogits(t, vocab));
    const seen = settings.map(() => Uint32Array.from({ length: vocab }, () => t.randomInt(70)));
    const stacked = new Float32Array(MOST_FEW * stride).fill(NaN);
    for (const [row, each] of logits.entries()) stacked.set(each, row * stride);
    const uniforms = new Uint8Array(MOST_FEW * 32);
    for (const [row, each] of settings.entries()) uniforms.set(new Uint8Array(settingsUniform(each).buffer), row * 32);
    const place = new Uint32Array(MOST_FEW * 4);
    for (const [row, start] of starts.entries()) place.set([start, owned[row] ?? 0, 1, 0], row * 4);
    const rows = t.input(place);
    const results = t.output(MOST_FEW * 16);
    const steps = await samplerRows(t.context, {
      label: 'sample',
      mode,
      vocab,
      logits: t.input(stacked),
      stride,
      sampling: t.input(uniforms),
      seen: t.input(Uint32Array.from({ length: MOST_FEW * vocab }, (_, i) => seen[Math.floor(i / vocab)]?.[i % vocab] ?? 0)),
      rows,
      results,
      scratch: t.output(MOST_FEW * samplerScratchBytes(vocab)),
    });
    await t.run(steps, { tokens: settings.length, context: 1 });
    const view = new DataView(await t.readBytes(results));
    const next = await t.readInts(rows, MOST_FEW * 4);
    for (const [row, each] of settings.entries()) {
      const id = view.getUint32(row * 16, true);
      const start = starts[row] ?? NaN;
      if (owned[row] === 0) {
        expectEqual(`row ${row}`, next.subarray(row * 4, row * 4 + 4), [start, 0, 1, 0]);
        continue;
      }
      const chosen = chosenIds(logits[row] ?? new Float32Array(0), seen[row] ?? new Uint32Array(0), start + 1, each);
      if (!chosen.has(id)) throw new Error(`row ${row}: ${id}, expected ${[...chosen].join(' or ')}`);
      expectClose(`row ${row}: log-probability`, [view.getFloat32(row * 16 + 8, true)], [logProbability(logits[row] ?? new Float32Array(0), id)], { relative: 1e-5, absolute: 1e-5 });
      expectEqual(`row ${row}: next`, next.subarray(row * 4, row * 4 + 4), [start + 1, 1, id, 0]);
    }
  });
}
