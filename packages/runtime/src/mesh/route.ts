import type { LayerRange } from './plan-types.ts';

/** A peer's name takes a byte for its length, and at most so many more. */
const MOST_NAME_BYTES = 255;
const NUMBERS_BYTES = 4;

/** Ranges that follow on each other without a gap: a pass goes from one peer to the next, and home from the last. */
export function chainsOf<T extends Pick<LayerRange, 'first' | 'end'>>(ranges: readonly T[]): T[][] {
  const chains: T[][] = [];
  for (const range of ranges) {
    const chain = chains.at(-1);
    if (chain?.at(-1)?.end === range.first) chain.push(range);
    else chains.push([range]);
  }
  return chains;
}

export function nameBytes(name: string): number {
  return 1 + new TextEncoder().encode(name).length;
}

/** Throws `RangeError` for names beyond 255 bytes. @returns where it ends */
export function writeName(view: DataView<ArrayBuffer>, at: number, name: string): number {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > MOST_NAME_BYTES) throw new RangeError(`A peer's name has ${bytes.length} bytes; at most ${MOST_NAME_BYTES} can be sent.`);
  view.setUint8(at, bytes.length);
  new Uint8Array(view.buffer, view.byteOffset + at + 1, bytes.length).set(bytes);
  return at + 1 + bytes.length;
}

/** Throws `RangeError` where the bytes end before it. */
export function readName(view: DataView<ArrayBuffer>, at: number): { readonly name: string; readonly at: number } {
  const length = view.getUint8(at);
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at + 1, length);
  if (at + 1 + length > view.byteLength) throw new RangeError('ends within a name');
  return { name: new TextDecoder().decode(bytes), at: at + 1 + length };
}

export function routeBytes(route: readonly LayerRange[]): number {
  return route.reduce((sum, { peer }) => sum + NUMBERS_BYTES + nameBytes(peer), 0);
}

/** Of each range: u16 first, u16 end, name. @returns where it ends */
export function writeRoute(view: DataView<ArrayBuffer>, at: number, route: readonly LayerRange[]): number {
  let next = at;
  for (const { peer, first, end } of route) {
    view.setUint16(next, first, true);
    view.setUint16(next + 2, end, true);
    next = writeName(view, next + NUMBERS_BYTES, peer);
  }
  return next;
}

/** Throws `RangeError` where the bytes end before it. */
export function readRoute(view: DataView<ArrayBuffer>, from: number, count: number): { readonly route: LayerRange[]; readonly at: number } {
  const route: LayerRange[] = [];
  let next = from;
  for (let i = 0; i < count; i++) {
    const [first, end] = [view.getUint16(next, true), view.getUint16(next + 2, true)];
    const { name, at } = readName(view, next + NUMBERS_BYTES);
    route.push({ peer: name, first, end });
    next = at;
  }
  return { route, at: next };
}
