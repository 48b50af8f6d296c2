import fc from 'fast-check';
import type { GgufValue } from '../../src/model/gguf/types.ts';
import { T, type Field } from './write-gguf.ts';

/** Numbers at which readers break: around powers of two, limits and signs. */
const CRITICAL = [0n, 1n, 2n, 3n, 4n, 5n, 8n, 12n, 13n, 31n, 32n, 33n, 64n, 65n, 100n, 255n, 256n, 1000n, 4096n, 65535n, 65536n].concat(
  [20n, 24n, 26n, 27n, 30n, 31n, 32n, 33n, 40n, 48n, 52n, 53n, 57n, 58n, 60n, 61n, 62n, 63n, 64n].flatMap((bit) => [2n ** bit - 1n, 2n ** bit, 2n ** bit + 1n]),
);

/** One change of a file. Positions are fractions, so that they fit a file of any length. */
type Mutation =
  | { readonly kind: 'field'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'flip'; readonly at: number; readonly mask: number }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'remove' | 'insert'; readonly at: number; readonly bytes: number };

/** Even over the whole file: fast-check alone prefers both ends. */
const place = fc.noBias(fc.nat({ max: 2 ** 30 - 1 })).map((n) => n / 2 ** 30);
const value = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...CRITICAL) }, { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }, { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 40n }) });

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('field'), at: place, value }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flip'), at: place, mask: fc.integer({ min: 1, max: 255 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('copy'), from: place, to: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut'), at: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('remove', 'insert'), at: place, bytes: fc.integer({ min: 1, max: 24 }) }) },
);

/** One to three changes. */
export const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });

export interface FuzzedFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly fields: readonly Field[];
  /** Where the header ends; changes fall before it. */
  readonly headerBytes: number;
}

/** A copy of the file with the changes made. */
export function mutate({ bytes, fields, headerBytes }: FuzzedFile, changes: readonly Mutation[]): Uint8Array<ArrayBuffer> {
  let out = bytes.slice();
  for (const change of changes) {
    const end = Math.min(headerBytes, out.length);
    const at = 'at' in change ? Math.floor(change.at * end) : 0;
    switch (change.kind) {
      case 'field': {
        const field = fields[Math.floor(change.at * fields.length)];
        if (field) writeNumber(out, field, change.value);
        break;
      }
      case 'flip':
        out[at] = (out[at] ?? 0) ^ change.mask;
        break;
      case 'copy': {
        const from = fields[Math.floor(change.from * fields.length)];
        const to = fields[Math.floor(change.to * fields.length)];
        if (from && to) out.copyWithin(to.at, from.at, from.at + from.bytes);
        break;
      }
      case 'cut':
        out = out.slice(0, at);
        break;
      case 'remove':
        out = concat(out.subarray(0, at), out.subarray(Math.min(out.length, at + change.bytes)));
        break;
      case 'insert':
        out = concat(out.subarray(0, at), out.subarray(0, change.bytes), out.subarray(at));
    }
  }
  return out;
}

function writeNumber(bytes: Uint8Array, { at, bytes: width }: Field, number: bigint): void {
  for (let i = 0; i < Math.min(width, 8) && at + i < bytes.length; i++) bytes[at + i] = Number((number >> BigInt(8 * i)) & 0xffn);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A metadata value of any type and sense, as the reader would give it. */
export const anyValue: fc.Arbitrary<GgufValue> = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, -1, 32, 33, 64, 0.5, 1e-9, 4096, 4097, 1_000_001, 2 ** 31, 2 ** 53 - 1, 1e300, NaN, Infinity, -Infinity, 2n ** 63n, -(2n ** 63n), true, false, '', 'linear', 'yarn', 'longrope', 'none', 'a'),
  fc.integer({ min: -2, max: 70 }),
  fc.float(),
  fc.uint8Array({ maxLength: 4 }),
  fc.float32Array({ maxLength: 4 }),
  fc.int32Array({ maxLength: 4 }),
  fc.array(fc.oneof(fc.string({ maxLength: 3 }), fc.integer(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n })), { maxLength: 4 }),
);

/** Types of GGUF values, for pairs of every kind in a fuzzed file. */
export const EVERY_TYPE = [T.u8, T.i8, T.u16, T.i16, T.u32, T.i32, T.f32, T.bool, T.u64, T.i64, T.f64] as const;
