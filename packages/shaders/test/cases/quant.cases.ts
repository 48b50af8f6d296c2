import { embed } from '../../src/embed.ts';
import { PLANAR_FORMATS, type PlanarFormat } from '../../src/planar.ts';
import { kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { dequantize, planarReference, randomBlocks } from '../reference/quants.ts';

/** Raw blocks and their values by gguf-py, as data URLs. */
const files = import.meta.glob<string>('../fixtures/quants/*', { query: '?url&inline', import: 'default', eager: true });

async function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = files[`../fixtures/quants/${name}`];
  if (url === undefined) throw new Error(`no fixture ${name}`);
  return new Uint8Array(await (await fetch(url)).arrayBuffer());
}

/** Decodes raw blocks by looking every row up. */
async function decode(t: KernelTest, format: PlanarFormat, raw: Uint8Array, baseWord = 0): Promise<Float32Array> {
  const elements = (raw.length / format.blockBytes) * format.blockSize;
  const cols = Math.max(32, format.blockSize);
  const rows = elements / cols;
  const planar = planarReference(format.id, raw);
  const placed = new Uint8Array(baseWord * 4 + planar.length).fill(0xff);
  placed.set(planar, baseWord * 4);
  const out = t.output(elements * 4);
  const step = await embed(t.context, {
    label: 'embed',
    tokens: { ids: t.input(Uint32Array.from({ length: rows }, (_, row) => row)), batch: t.input(Uint32Array.of(0, rows)) },
    table: { binding: t.input(placed), matrices: [{ type: format.id, rows, cols, baseWord }] },
    firstRow: 0,
    out,
    scale: 1,
    maxTokens: rows,
  });
  await t.run([step], { tokens: rows, context: rows });
  return t.readFloats(out, elements);
}

/** Bit-exact, but that subnormal results (MXFP4's smallest scales) may be flushed to 0. */
function expectExact(label: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++) {
    const wanted = Math.fround(expected[i] ?? NaN);
    if (actual[i] !== wanted && !(actual[i] === 0 && Math.abs(wanted) < 2 ** -124)) {
      throw new Error(`${label}: weight ${i} is ${actual[i]}, expected ${wanted}`);
    }
  }
}

for (const format of PLANAR_FORMATS) {
  kernelCase(`quant ${format.name}: odd numbers of blocks`, async (t) => {
    for (const blocks of [1, 3, 8, 9]) {
      const raw = randomBlocks(t, format.id, blocks * Math.max(32, format.blockSize));
      expectExact(format.name, await decode(t, format, raw, 4 * blocks), dequantize(format.id, raw));
    }
  });
  if (format.name === 'F32') continue;
  kernelCase(`quant ${format.name}: values by gguf-py`, async (t) => {
    const [raw, values] = await Promise.all([fixture(`${format.name}.bin`), fixture(`${format.name}.f32`)]);
    const expected = new Float32Array(values.buffer);
    expectExact('reference', Float32Array.from(dequantize(format.id, raw)), expected);
    expectExact(format.name, await decode(t, format, raw), expected);
  });
}
