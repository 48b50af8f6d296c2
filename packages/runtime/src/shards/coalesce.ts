import type { Shard } from './shard.ts';

/** Longest request that neighbours are joined into: enough for full speed, little enough to repeat after a failure. */
const MAX_SPAN_BYTES = 16 * 1024 * 1024;

/** Unwanted bytes between two ranges that cost less than another request: the padding between tensors. */
const MAX_GAP_BYTES = 1024;

/** One request: contiguous bytes of one file, and where they go. */
export interface Span {
  readonly file: number;
  readonly offset: number;
  readonly length: number;
  readonly parts: readonly SpanPart[];
}

export interface SpanPart {
  /** Index into the given shards. */
  readonly shard: number;
  /** Where the part lies in the shard's bytes and in the span's. */
  readonly inShard: number;
  readonly inSpan: number;
  readonly length: number;
}

/**
 * The requests that bring these shards. Stacked experts lie side by side in each of their tensors, so that n
 * neighbouring experts are three requests instead of 3 n.
 */
export function coalesce(shards: readonly Shard[]): Span[] {
  const ranges = shards.flatMap((shard, index) => {
    let inShard = 0;
    return shard.ranges.map(({ file, offset, length }) => {
      const part = { shard: index, inShard, file, offset, length };
      inShard += length;
      return part;
    });
  });
  ranges.sort((a, b) => a.file - b.file || a.offset - b.offset);
  const spans: { file: number; offset: number; length: number; parts: SpanPart[] }[] = [];
  for (const { file, offset, length, shard, inShard } of ranges) {
    const last = spans.at(-1);
    const inSpan = last ? offset - last.offset : 0;
    if (last?.file === file && inSpan - last.length <= MAX_GAP_BYTES && inSpan + length <= MAX_SPAN_BYTES) {
      last.parts.push({ shard, inShard, inSpan, length });
      last.length = Math.max(last.length, inSpan + length);
    } else {
      spans.push({ file, offset, length, parts: [{ shard, inShard, inSpan: 0, length }] });
    }
  }
  return spans;
}
