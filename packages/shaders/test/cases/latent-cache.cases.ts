import { latentCache, type LatentCacheArgs } from '../../src/mixers/latent-cache.ts';
import { ropeTable } from '../../src/rope-table.ts';
import { expectClose, expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { normed } from '../reference/linear.ts';
import { rotateReference } from '../reference/rope.ts';

type Shape = Pick<LatentCacheArgs, 'heads' | 'plainDim' | 'ropeDim' | 'latentDim'> & {
  /** Whether queries and latent vector lie in one row. */
  readonly oneRow: boolean;
};

const BASE = 10_000;
const POSITIONS = 40;

async function expectCached(t: KernelTest, { heads, plainDim, ropeDim, latentDim, oneRow }: Shape, start: number, tokens: number): Promise<void> {
  const qWidth = heads * (plainDim + ropeDim);
  const first = oneRow ? qWidth : 24;
  const stride = first + latentDim + ropeDim;
  const qStride = oneRow ? stride : qWidth;
  const width = latentDim + ropeDim;
  const eps = 1e-3;
  const row = t.randomNormal((tokens + 1) * stride, 2);
  const q = oneRow ? row : t.randomNormal((tokens + 1) * qWidth);
  const weight = t.randomNormal(latentDim);
  const query = t.output((tokens + 1) * heads * width * 4);
  const cache = t.output(POSITIONS * width * 4);
  const rowBuffer = t.input(row);
  const step = await latentCache(t.context, {
    label: 'latent_cache',
    heads,
    plainDim,
    ropeDim,
    latentDim,
    row: { buffer: rowBuffer, stride, first },
    q: { buffer: oneRow ? rowBuffer : t.input(q), stride: qStride },
    norm: { weight: t.input(weight), eps },
    table: t.input(ropeTable({ dims: ropeDim, base: BASE, frequencyScale: 1, yarn: null, contextLength: POSITIONS })),
    batch: t.input(Uint32Array.of(start, tokens)),
    query,
    cache,
  });
  // A token more than the batch has: nothing is written for it.
  await t.run([step], { tokens: tokens + 1, context: start + tokens + 1 });

  const expected = { query: new Float64Array((tokens + 1) * heads * width).fill(NaN), cache: new Float64Array(POSITIONS * width).fill(NaN) };
  for (let token = 0; token < tokens; token++) {
    const rotated = (x: Float32Array): Float64Array => rotateReference(x, 'norm', ropeDim, (pair) => (start + token) * BASE ** ((-2 * pair) / ropeDim));
    const own = row.subarray(token * stride + first, (token + 1) * stride);
    expected.cache.set([...normed(own.subarray(0, latentDim), weight, eps), ...rotated(own.subarray(latentDim))], (start + token) * width);
    for (let head = 0; head < heads; head++) {
      const at = token * qStride + head * (plainDim + ropeDim) + plainDim;
      expected.query.set(rotated(q.subarray(at, at + ropeDim)), (token * heads + head) * width + latentDim);
    }
  }
  for (const [name, buffer] of Object.entries({ query, cache })) {
    const wanted = name === 'query' ? expected.query : expected.cache;
    const actual = await t.readFloats(buffer, wanted.length);
    expectEqual(`${name}: unwritten`, Array.from(actual, (x) => Number(Number.isNaN(x))), Array.from(wanted, (x) => Number(Number.isNaN(x))));
    const written = (_: number, i: number): boolean => !Number.isNaN(wanted[i]);
    expectClose(name, actual.filter(written), wanted.filter(written), { relative: 2e-6 });
  }
}

const SHAPES: Readonly<Record<string, Shape>> = {
  'four heads': { heads: 4, plainDim: 64, ropeDim: 32, latentDim: 128, oneRow: false },
  'queries in the same row': { heads: 3, plainDim: 32, ropeDim: 64, latentDim: 63, oneRow: true },
  'wide': { heads: 16, plainDim: 128, ropeDim: 64, latentDim: 512, oneRow: false },
  'rotation beyond a workgroup': { heads: 1, plainDim: 0, ropeDim: 200, latentDim: 4, oneRow: false },
};

for (const [name, shape] of Object.entries(SHAPES)) {
  kernelCase(`latent cache, ${name}`, async (t) => {
    for (const [start, tokens] of [[0, 1], [0, 7], [POSITIONS - 9, 8]] as const) await expectCached(t, shape, start, tokens);
  });
}
