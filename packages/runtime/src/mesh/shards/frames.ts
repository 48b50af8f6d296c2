// Frames of the connection for shards, little-endian:
//   0  u8   kind: 1 request, 2 part, 3 absent
//   1  u32  number of the request
//   5  request: u32 offset, u32 length, the shard's id in UTF-8; part: the bytes
import { MalformedFrameError } from '../errors.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** Shards are asked for in parts of at most this, so that no frame holds a queue up for long. */
export const MAX_PART_BYTES = 256 * 1024;
const MAX_ID_BYTES = 256;
const HEADER_BYTES = 5;

export type ShardFrame =
  | { readonly kind: 'request'; readonly number: number; readonly shard: string; readonly offset: number; readonly length: number }
  | { readonly kind: 'part'; readonly number: number; readonly bytes: Bytes }
  | { readonly kind: 'absent'; readonly number: number };

const KINDS = ['request', 'part', 'absent'] as const;

export function encodeShardFrame(frame: ShardFrame): Bytes {
  const body = frame.kind === 'request' ? new Uint8Array([...words(frame.offset, frame.length), ...new TextEncoder().encode(frame.shard)]) : frame.kind === 'part' ? frame.bytes : new Uint8Array(0);
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  bytes[0] = KINDS.indexOf(frame.kind) + 1;
  bytes.set(words(frame.number), 1);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** Throws `MalformedFrameError`. */
export function decodeShardFrame(bytes: Bytes): ShardFrame {
  const kind = KINDS[(bytes[0] ?? 0) - 1];
  if (bytes.length < HEADER_BYTES || !kind) throw new MalformedFrameError('no frame about shards');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const number = view.getUint32(1, true);
  const body = bytes.subarray(HEADER_BYTES);
  if (kind === 'part') return { kind, number, bytes: body };
  if (kind === 'absent') return { kind, number };
  if (body.length < 8 || body.length > 8 + MAX_ID_BYTES) throw new MalformedFrameError('a request for a shard of an odd length');
  const [offset, length] = [view.getUint32(HEADER_BYTES, true), view.getUint32(HEADER_BYTES + 4, true)];
  if (length > MAX_PART_BYTES) throw new MalformedFrameError(`a request for ${length} bytes at once`);
  return { kind, number, offset, length, shard: new TextDecoder().decode(body.subarray(8)) };
}

function words(...values: readonly number[]): Bytes {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  return bytes;
}
