import { residualMix } from '../../src/rare/residual-mix.ts';
import { expectClose, kernelCase } from '../harness/kernel-case.ts';
import { product, randomStack, type Shape } from '../reference/linear.ts';

const F32 = 0;
const Q8_0 = 8;

const cases: readonly (readonly [cols: number, topK: number, shapes: readonly Shape[]])[] = [
  [32, 1, [{ type: F32, rows: 2 }]],
  [256, 2, [{ type: F32, rows: 2 }]],
  [2048, 65, [{ type: Q8_0, rows: 2 }]],
  [2080, 1, [{ type: F32, rows: 1 }, { type: F32, rows: 1 }]],
];

for (const [cols, topK, shapes] of cases) {
  kernelCase(`residual-mix of ${cols} inputs, k ${topK}`, async (t) => {
    const stack = randomStack(t, shapes, cols);
    for (const tokens of [1, 7]) {
      const x = t.randomNormal(tokens * cols, 2);
      const bias = t.randomNormal(2);
      const routeWeights = t.randomNormal(tokens * topK);
      const coefficients = t.output(tokens * 8);
      const expertWeights = t.output(tokens * topK * 4);
      const mlpWeights = t.output(tokens * 4);
      const buffers = { x: t.input(x), bias: t.input(bias), routeWeights: t.input(routeWeights), coefficients, expertWeights, mlpWeights };
      await t.run([await residualMix(t.context, { label: 'mix', weights: stack.weights, topK, ...buffers })], { tokens, context: tokens });
      const experts = Array.from({ length: tokens }, (_, token) => {
        const [first = NaN, second = NaN] = product(stack, x.subarray(token * cols, (token + 1) * cols));
        return 1 / (1 + Math.exp(second + (bias[1] ?? NaN) - first - (bias[0] ?? NaN)));
      });
      expectClose('coefficients', await t.readFloats(coefficients, tokens * 2), experts.flatMap((share) => [share, 1 - share]));
      expectClose('expertWeights', await t.readFloats(expertWeights, tokens * topK), Array.from(routeWeights, (weight, i) => weight * (experts[Math.floor(i / topK)] ?? NaN)));
      expectClose('mlpWeights', await t.readFloats(mlpWeights, tokens), experts.map((share) => 1 - share));
    }
  });
}

kernelCase('residual-mix survives extreme logits', async (t) => {
  const stack = randomStack(t, [{ type: F32, rows: 2 }], 32);
  const coefficients = t.output(8);
  const expertWeights = t.output(4);
  const mlpWeights = t.output(4);
  const inputs = { x: t.input(new Float32Array(32)), bias: t.input(Float32Array.of(-500, 500)), routeWeights: t.input(Float32Array.of(0.5)) };
  await t.run([await residualMix(t.context, { label: 'mix', weights: stack.weights, topK: 1, ...inputs, coefficients, expertWeights, mlpWeights })]);
  expectClose('coefficients', await t.readFloats(coefficients, 2), [0, 1]);
  expectClose('expertWeights', await t.readFloats(expertWeights, 1), [0]);
  expectClose('mlpWeights', await t.readFloats(mlpWeights, 1), [1]);
});

kernelCase('residual-mix refuses other than two rows', async (t) => {
  const { weights } = randomStack(t, [{ type: F32, rows: 3 }], 32);
  const some = t.input(new Float32Array(4));
  const error = await residualMix(t.context, { label: 'mix', x: some, weights, bias: some, routeWeights: some, topK: 1, coefficients: some, expertWeights: some, mlpWeights: some }).catch((caught: unknown) => caught);
  if (!(error instanceof Error && error.name === 'KernelArgumentError')) throw new Error('not refused');
});
