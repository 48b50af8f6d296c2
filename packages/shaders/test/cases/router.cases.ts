import { routerTopK, type RouterAxes } from '../../src/router.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { routeReference } from '../reference/router.ts';

const PLAIN: RouterAxes = { score: 'softmax', softmaxAfterTopK: false, groups: null, renormalise: null, scale: 1 };
const DEEPSEEK_V3: RouterAxes = {
  score: 'sigmoid',
  softmaxAfterTopK: false,
  groups: { count: 8, keep: 4, by: 'top2-sum' },
  renormalise: { eps: 1e-20 },
  scale: 2.5,
};

interface Shape {
  readonly name: string;
  readonly experts: number;
  readonly topK: number;
  readonly router: RouterAxes;
  readonly bias?: boolean;
  readonly expertScale?: boolean;
}

const shapes: readonly Shape[] = [
  { name: 'softmax', experts: 64, topK: 8, router: PLAIN },
  { name: 'softmax renormalised', experts: 128, topK: 8, router: { ...PLAIN, renormalise: { eps: 0 } } },
  { name: 'softmax scaled', experts: 60, topK: 4, router: { ...PLAIN, scale: 16 } },
  { name: 'softmax after top-k', experts: 32, topK: 4, router: { ...PLAIN, score: 'none', softmaxAfterTopK: true } },
  { name: 'sigmoid', experts: 16, topK: 1, router: { ...PLAIN, score: 'sigmoid' } },
  { name: 'sigmoid biased, groups by top-2 sum', experts: 256, topK: 8, router: DEEPSEEK_V3, bias: true },
  { name: 'softmax, groups by max', experts: 160, topK: 6, router: { ...PLAIN, groups: { count: 8, keep: 3, by: 'max' }, scale: 16 } },
  { name: 'sqrt-softplus biased', experts: 384, topK: 6, router: { ...PLAIN, score: 'sqrt-softplus', renormalise: { eps: 1e-20 } }, bias: true },
  { name: 'raw logits, expert scale', experts: 512, topK: 32, router: { ...PLAIN, score: 'none' }, expertScale: true },
  { name: 'one expert', experts: 1, topK: 1, router: PLAIN },
  { name: 'k = E', experts: 5, topK: 5, router: { ...PLAIN, renormalise: { eps: 1e-9 } }, bias: true, expertScale: true },
];

async function route(t: KernelTest, { experts, topK, router }: Shape, logits: Float32Array<ArrayBuffer>, bias?: Float32Array<ArrayBuffer>, expertScale?: Float32Array<ArrayBuffer>) {
  const tokens = logits.length / experts;
  const ids = t.output(tokens * topK * 4);
  const weights = t.output(tokens * topK * 4);
  const step = await routerTopK(t.context, {
    label: 'router',
    logits: t.input(logits),
    ids,
    weights,
    experts,
    topK,
    router,
    ...(bias ? { selectionBias: t.input(bias) } : {}),
    ...(expertScale ? { expertScale: t.input(expertScale) } : {}),
  });
  await t.run([step], { tokens, context: tokens });
  return { ids: await t.readInts(ids, tokens * topK), weights: await t.readFloats(weights, tokens * topK) };
}

for (const shape of shapes) {
  kernelCase(`router ${shape.name}`, async (t) => {
    const { experts, topK, router } = shape;
    const bias = shape.bias ? t.randomNormal(experts, 0.3) : undefined;
    const expertScale = shape.expertScale ? t.randomNormal(experts) : undefined;
    for (const tokens of [1, 7]) {
      const logits = t.randomNormal(tokens * experts, 2);
      const got = await route(t, shape, logits, bias, expertScale);
      const expected = Array.from({ length: tokens }, (_, token) =>
        routeReference([...logits.subarray(token * experts, (token + 1) * experts)], topK, router, bias && [...bias], expertScale && [...expertScale]),
      );
      expectEqual('ids', got.ids, expected.flatMap(({ ids }) => ids));
      expectClose('weights', got.weights, expected.flatMap(({ weights }) => weights), { relative: 1e-6, absolute: 1e-7 });
    }
  });
}

kernelCase('router gates a shared expert with the logit after the experts\'', async (t) => {
  const [experts, topK, tokens] = [6, 2, 5];
  const logits = t.randomNormal(tokens * (experts + 1), 4);
  const ids = t.output(tokens * topK * 4);
  const weights = t.output(tokens * topK * 4);
  const sharedGate = t.output((tokens + 1) * 4);
  const step = await routerTopK(t.context, { label: 'router', logits: t.input(logits), ids, weights, experts, topK, router: PLAIN, sharedGate });
  await t.run([step], { tokens, context: tokens });
  const rows = Array.from({ length: tokens }, (_, token) => [...logits.subarray(token * (experts + 1), (token + 1) * (experts + 1))]);
  const expected = rows.map((row) => routeReference(row.slice(0, experts), topK, PLAIN));
  expectEqual('ids', await t.readInts(ids, tokens * topK), expected.flatMap((routing) => routing.ids));
  expectClose('weights', await t.readFloats(weights, tokens * topK), expected.flatMap((routing) => routing.weights), { relative: 1e-6, absolute: 1e-7 });
  const gates = await t.readFloats(sharedGate, tokens + 1);
  expectClose('shared weights', gates.subarray(0, tokens), rows.map((row) => 1 / (1 + Math.exp(-(row[experts] ?? NaN)))), { relative: 1e-6, absolute: 1e-7 });
  if (!Number.isNaN(gates[tokens])) throw new Error('a weight beyond the last token was written');
});

kernelCase('router gives ties to the lowest expert', async (t) => {
  const shape = { name: 'ties', experts: 300, topK: 10, router: PLAIN };
  // Few distinct values, both zeros among them.
  const logits = Float32Array.from({ length: 3 * shape.experts }, () => [-1, -0, 0, 1][t.randomInt(4)] ?? NaN);
  const { ids } = await route(t, shape, logits);
  expectEqual('ids', ids, [0, 1, 2].flatMap((token) => routeReference([...logits.subarray(token * 300, (token + 1) * 300)], 10, PLAIN).ids));
});

kernelCase('router keeps distinct ids in range among NaN logits', async (t) => {
  for (const router of [PLAIN, DEEPSEEK_V3]) {
    const shape = { name: 'NaN', experts: 64, topK: 8, router };
    const logits = t.randomNormal(3 * 64);
    logits.fill(NaN, 64, 128);
    for (let e = 128; e < 192; e += 1 + t.randomInt(3)) logits[e] = NaN;
    const { ids } = await route(t, shape, logits);
    for (let token = 0; token < 3; token++) {
      const own = new Set(ids.subarray(token * 8, (token + 1) * 8));
      if (own.size !== 8 || [...own].some((id) => id >= 64)) throw new Error(`token ${token} got experts ${[...own].join(', ')}`);
    }
  }
});

kernelCase('router survives extreme logits', async (t) => {
  const logits = Float32Array.from([500, -500, 0, -30, 88.5, -104, 12, 3]);
  for (const score of ['softmax', 'sigmoid', 'sqrt-softplus'] as const) {
    const router = { ...PLAIN, score };
    const { ids, weights } = await route(t, { name: score, experts: 8, topK: 8, router }, logits);
    const expected = routeReference([...logits], 8, router);
    expectEqual(score, ids, Float64Array.from([...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0))));
    expectClose(score, weights, expected.weights, { relative: 1e-6, absolute: 1e-7 });
  }
});

kernelCase('router refuses shapes that it cannot serve', async (t) => {
  const refused: readonly Omit<Shape, 'name'>[] = [
    { experts: 513, topK: 1, router: PLAIN },
    { experts: 64, topK: 33, router: PLAIN },
    { experts: 4, topK: 5, router: PLAIN },
    { experts: 10, topK: 2, router: { ...PLAIN, groups: { count: 4, keep: 1, by: 'max' } } },
    { experts: 16, topK: 8, router: { ...PLAIN, groups: { count: 4, keep: 1, by: 'max' } } },
  ];
  for (const shape of refused) {
    const error = await route(t, { ...shape, name: '' }, new Float32Array(shape.experts)).catch((caught: unknown) => caught);
    if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error(`not refused: ${JSON.stringify(shape)}`);
  }
});
