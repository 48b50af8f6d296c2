import { PLANAR_FORMATS, type PlanarFormat } from '../../src/planar.ts';
import { packGathers, planeGathers, repack, type RepackPiece } from '../../src/repack.ts';
import { expectEqual, kernelCase, type KernelTest } from '../harness/kernel-case.ts';
import { planarReference } from '../reference/quants.ts';

/** Blocks [0, blocks) of a matrix cut at `cuts`, each piece at an odd byte of the staging buffer. */
async function repackPieces(t: KernelTest, format: PlanarFormat, raw: Uint8Array, cuts: readonly number[], oneStep: boolean): Promise<Uint8Array> {
  const { id, blockSize, blockBytes } = format;
  const blocks = raw.length / blockBytes;
  const targetWord = 4 * (1 + t.randomInt(8));
  const staging = new Uint8Array(raw.length + 5 * (cuts.length + 2));
  const pieces: RepackPiece[] = [];
  let stagingByte = 1 + t.randomInt(4);
  for (const [i, first] of [0, ...cuts].entries()) {
    const last = cuts[i] ?? blocks;
    staging.set(raw.subarray(first * blockBytes, last * blockBytes), stagingByte);
    pieces.push({
      format: id,
      stagingByte,
      elements: (last - first) * blockSize,
      firstElement: first * blockSize,
      totalElements: blocks * blockSize,
      targetWord,
    });
    stagingByte += (last - first) * blockBytes + t.randomInt(5);
  }
  const planar = planarReference(id, raw);
  const destination = t.input(new Uint8Array(targetWord * 4 + planar.length));
  const groups = oneStep ? [pieces.flatMap(planeGathers)] : pieces.map(planeGathers);
  const steps = await Promise.all(
    groups.map((gathers) =>
      repack(t.context, { label: 'repack', staging: t.input(staging), gathers, packed: t.input(packGathers(gathers)), destination }),
    ),
  );
  await t.run(steps);
  return new Uint8Array(await t.readBytes(destination)).subarray(targetWord * 4, targetWord * 4 + planar.length);
}

for (const format of PLANAR_FORMATS) {
  kernelCase(`repack ${format.name}`, async (t) => {
    for (const { blocks, cuts } of [
      { blocks: 1, cuts: [] },
      { blocks: 67, cuts: [1, 2, 34] },
    ]) {
      for (const oneStep of [true, false]) {
        const raw = Uint8Array.from({ length: blocks * format.blockBytes }, () => t.randomInt(256));
        expectEqual(`${blocks} blocks`, await repackPieces(t, format, raw, cuts, oneStep), planarReference(format.id, raw));
      }
    }
  });
}

kernelCase('repack leaves the neighbours of a piece alone', async (t) => {
  const raw = Uint8Array.from({ length: 18 * 9 }, () => t.randomInt(256));
  const piece = { format: 2, stagingByte: 3, elements: 32 * 3, firstElement: 32 * 3, totalElements: 32 * 9, targetWord: 4 };
  const gathers = planeGathers(piece);
  const staging = new Uint8Array(3 + raw.length);
  staging.set(raw, 3);
  const before = Uint8Array.from({ length: 16 + 9 * 16 + 32 + 16 }, () => t.randomInt(256));
  const destination = t.input(before);
  const packed = t.input(packGathers(gathers));
  await t.run([await repack(t.context, { label: 'repack', staging: t.input(staging), gathers, packed, destination })]);
  const expected = before.slice();
  for (let block = 0; block < 3; block++) {
    expected.set(raw.subarray(block * 18 + 2, block * 18 + 18), 16 + (3 + block) * 16);
    expected.set(raw.subarray(block * 18, block * 18 + 2), 16 + 9 * 16 + (3 + block) * 2);
  }
  expectEqual('destination', new Uint8Array(await t.readBytes(destination)), expected);
});
