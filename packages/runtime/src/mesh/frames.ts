import type { ExpertName } from '../api/types.ts';
import { GatefoldError } from '../errors.ts';
import type { ExpertWork } from './expert-work.ts';
import { decodePlan, decodeStatus, encodePlan, encodeStatus, type MemberStatus } from './news-frames.ts';
import type { LayerRange, SharedPlan } from './plan-types.ts';
import { nameBytes, readName, readRoute, routeBytes, writeName, writeRoute } from './route.ts';
import { readRows, rowBytes, WIRE_FORMATS, writeRows, type WireFormat } from './wire-format.ts';

/** First byte of every frame; another one is another protocol. */
const VERSION = 1;
const HEADER_BYTES = 12;
/** Conversation and start of a pass through layers. */
const LAYERS_BYTES = 8;
/** Experts that a token may ask one peer for. */
const MOST_EXPERTS = 64;

const KIND = { work: 1, layers: 2, answer: 3, refusal: 4, forget: 5, hold: 6, passed: 7, stopped: 8, where: 9, here: 10, status: 11, plan: 12 } as const;

/** Why a peer does not do what it is asked; the asker turns elsewhere. */
export const REFUSALS = ['busy', 'unavailable', 'no-state', 'failed'] as const;
export type Refusal = (typeof REFUSALS)[number];

/** How far a pass through layers has come at a peer: it has not got there, is there, or has been sent on. */
const WHEREABOUTS = ['unknown', 'here', 'on'] as const;
export type Whereabouts = (typeof WHEREABOUTS)[number];

/** Activations of some tokens, [tokens, width]. */
interface Rows {
  readonly format: WireFormat;
  readonly tokens: number;
  readonly rows: Float32Array<ArrayBuffer>;
}

/** A pass of a conversation through the layers of peers, one after the other. */
export interface LayersWork {
  /** Who has the conversation, and gets what comes of it; empty where it is the sender. */
  readonly origin: string;
  /** The origin's number of it. */
  readonly conversation: number;
  /** The receiver's layers, then those of the peers after it. At least one. */
  readonly route: readonly LayerRange[];
  /** Position of the first token. */
  readonly start: number;
  readonly tokens: number;
  /** [tokens, d]: the residual stream before the first layer. */
  readonly x: Float32Array<ArrayBuffer>;
}

/**
 * What peers say to each other. `id` is the asker's number of the request, which the answer repeats.
 *
 * On the wire, little-endian: u8 version · u8 kind · u8 format · u8 relay or refusal · u32 id · u16 layer · u16 tokens, then
 * work: each token's u8 count, each pair's u16 expert, each pair's f32 weight, rows ·
 * layers: u32 conversation, u32 start, origin, `layer` ranges, each u16 first, u16 end, peer; rows (names: u8 bytes, UTF-8) ·
 * answer, passed: rows · forget: nothing, `id` is the conversation · hold: `id` experts, each u16 layer, u16 expert ·
 * stopped, where: nothing · here: the u8 of refusals says how far · status, plan: as `news-frames.ts` has them. What concerns a pass has the number that its origin gave it.
 */
export type Frame =
  | {
      readonly kind: 'work';
      readonly id: number;
      readonly format: WireFormat;
      /** The peer is to pass on what others hold, and to answer with the sum. */
      readonly relay: boolean;
      readonly work: ExpertWork;
    }
  | { readonly kind: 'layers'; readonly id: number; readonly format: WireFormat; readonly work: LayersWork }
  /** To the origin: the residual stream before layer `end`. */
  | ({ readonly kind: 'passed'; readonly id: number; readonly end: number } & Rows)
  /** To the origin: the sender does not run its layers. */
  | { readonly kind: 'stopped'; readonly id: number; readonly reason: Refusal }
  /** The origin asks how far a pass is, and is told. */
  | { readonly kind: 'where'; readonly id: number }
  | { readonly kind: 'here'; readonly id: number; readonly state: Whereabouts }
  | ({ readonly kind: 'answer'; readonly id: number } & Rows)
  | { readonly kind: 'refusal'; readonly id: number; readonly reason: Refusal }
  | { readonly kind: 'forget'; readonly id: number }
  | { readonly kind: 'status'; readonly status: MemberStatus }
  | { readonly kind: 'plan'; readonly plan: SharedPlan }
  /** The sender will ask for these experts. */
  | { readonly kind: 'hold'; readonly experts: readonly ExpertName[] };

/** A peer has sent what is no frame of this protocol. */
export class FrameFormatError extends GatefoldError {
  override readonly name = 'FrameFormatError';
  constructor(readonly problem: string) {
    super('frame-format', `A peer's frame ${problem}. Both sides must run the same version of Gatefold.`, { problem });
  }
}

/** Bytes of a frame with the work, which `encodeFrame` makes. */
export function workFrameBytes(format: WireFormat, tokens: number, pairs: number, width: number): number {
  return HEADER_BYTES + tokens + pairs * 6 + tokens * rowBytes(format, width);
}

/** Bytes of a frame that asks for a pass through layers. */
export function layersFrameBytes(format: WireFormat, { origin, route, tokens }: Pick<LayersWork, 'origin' | 'route' | 'tokens'>, width: number): number {
  return HEADER_BYTES + LAYERS_BYTES + nameBytes(origin) + routeBytes(route) + tokens * rowBytes(format, width);
}

/** Bytes of a frame that answers about so many tokens, or brings them home after their layers. */
export function answerFrameBytes(format: WireFormat, tokens: number, width: number): number {
  return HEADER_BYTES + tokens * rowBytes(format, width);
}

export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  switch (frame.kind) {
    case 'work': {
      const { id, format, work } = frame;
      const { layer, tokens, counts, experts, weights, x } = work;
      const width = x.length / tokens;
      const view = header(workFrameBytes(format, tokens, experts.length, width), KIND.work, id, format, layer, tokens);
      view.setUint8(3, frame.relay ? 1 : 0);
      let at = HEADER_BYTES;
      for (const count of counts) view.setUint8(at++, count);
      for (const expert of experts) {
        view.setUint16(at, expert, true);
        at += 2;
      }
      for (const weight of weights) {
        view.setFloat32(at, weight, true);
        at += 4;
      }
      writeRows(format, x, width, new DataView(view.buffer, at));
      return bytesOf(view);
    }
    case 'layers': {
      const { id, format, work } = frame;
      const { origin, conversation, route, start, tokens, x } = work;
      const width = x.length / tokens;
      const view = header(layersFrameBytes(format, work, width), KIND.layers, id, format, route.length, tokens);
      view.setUint32(HEADER_BYTES, conversation, true);
      view.setUint32(HEADER_BYTES + 4, start, true);
      const at = writeRoute(view, writeName(view, HEADER_BYTES + LAYERS_BYTES, origin), route);
      writeRows(format, x, width, new DataView(view.buffer, at));
      return bytesOf(view);
    }
    case 'answer':
    case 'passed': {
      const { kind, id, format, tokens, rows } = frame;
      const width = rows.length / tokens;
      const view = header(answerFrameBytes(format, tokens, width), KIND[kind], id, format, kind === 'passed' ? frame.end : 0, tokens);
      writeRows(format, rows, width, new DataView(view.buffer, HEADER_BYTES));
      return bytesOf(view);
    }
    case 'refusal':
    case 'stopped': {
      const view = header(HEADER_BYTES, KIND[frame.kind], frame.id);
      view.setUint8(3, REFUSALS.indexOf(frame.reason));
      return bytesOf(view);
    }
    case 'here': {
      const view = header(HEADER_BYTES, KIND.here, frame.id);
      view.setUint8(3, WHEREABOUTS.indexOf(frame.state));
      return bytesOf(view);
    }
    case 'status':
      return withHeader(KIND.status, encodeStatus(frame.status));
    case 'plan':
      return withHeader(KIND.plan, encodePlan(frame.plan));
    case 'hold': {
      const { experts } = frame;
      const view = header(HEADER_BYTES + experts.length * 4, KIND.hold, experts.length);
      for (const [i, { layer, expert }] of experts.entries()) {
        view.setUint16(HEADER_BYTES + i * 4, layer, true);
        view.setUint16(HEADER_BYTES + i * 4 + 2, expert, true);
      }
      return bytesOf(view);
    }
    case 'forget':
    case 'where':
      return bytesOf(header(HEADER_BYTES, KIND[frame.kind], frame.id));
  }
}

/** Reads a frame whose rows are `width` values. Throws `FrameFormatError` for whatever is not exactly one. */
export function decodeFrame(bytes: Uint8Array<ArrayBuffer>, width: number): Frame {
  if (bytes.length < HEADER_BYTES) throw new FrameFormatError(`has ${bytes.length} bytes instead of at least ${HEADER_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint8(0) !== VERSION) throw new FrameFormatError(`is of version ${view.getUint8(0)} instead of ${VERSION}`);
  const format = WIRE_FORMATS[view.getUint8(2)];
  const id = view.getUint32(4, true);
  const layer = view.getUint16(8, true);
  const tokens = view.getUint16(10, true);
  if (!format) throw new FrameFormatError(`has rows of the unknown format ${view.getUint8(2)}`);
  const rowsFrom = (at: number): Float32Array<ArrayBuffer> => {
    if (tokens === 0) throw new FrameFormatError('has no tokens');
    checkLength(bytes, at + tokens * rowBytes(format, width));
    return readRows(format, new DataView(bytes.buffer, bytes.byteOffset + at), tokens, width);
  };
  switch (view.getUint8(1)) {
    case KIND.work: {
      const { pairs, at } = readPairs(view, tokens);
      return { kind: 'work', id, format, relay: view.getUint8(3) === 1, work: { layer, tokens, ...pairs, x: rowsFrom(at) } };
    }
    case KIND.layers: {
      const { at, ...way } = withinBounds(() => readWay(view, layer));
      return { kind: 'layers', id, format, work: { ...way, tokens, x: rowsFrom(at) } };
    }
    case KIND.answer:
      return { kind: 'answer', id, format, tokens, rows: rowsFrom(HEADER_BYTES) };
    case KIND.passed:
      return { kind: 'passed', id, format, end: layer, tokens, rows: rowsFrom(HEADER_BYTES) };
    case KIND.refusal:
    case KIND.stopped: {
      checkLength(bytes, HEADER_BYTES);
      return { kind: view.getUint8(1) === KIND.refusal ? 'refusal' : 'stopped', id, reason: REFUSALS[view.getUint8(3)] ?? 'failed' };
    }
    case KIND.status:
      return { kind: 'status', status: withinBounds(() => decodeStatus(bodyOf(view))) };
    case KIND.plan:
      return { kind: 'plan', plan: withinBounds(() => decodePlan(bodyOf(view))) };
    case KIND.where:
      checkLength(bytes, HEADER_BYTES);
      return { kind: 'where', id };
    case KIND.here:
      checkLength(bytes, HEADER_BYTES);
      return { kind: 'here', id, state: WHEREABOUTS[view.getUint8(3)] ?? 'unknown' };
    case KIND.forget:
      checkLength(bytes, HEADER_BYTES);
      return { kind: 'forget', id };
    case KIND.hold: {
      checkLength(bytes, HEADER_BYTES + id * 4);
      const experts = Array.from({ length: id }, (_, i) => ({ layer: view.getUint16(HEADER_BYTES + i * 4, true), expert: view.getUint16(HEADER_BYTES + i * 4 + 2, true) }));
      return { kind: 'hold', experts };
    }
    default:
      throw new FrameFormatError(`is of the unknown kind ${view.getUint8(1)}`);
  }
}

/** What a pass through layers says beside the rows. Throws `RangeError` where the bytes end before it. */
function readWay(view: DataView<ArrayBuffer>, ranges: number): Pick<LayersWork, 'origin' | 'conversation' | 'route' | 'start'> & { readonly at: number } {
  if (ranges === 0) throw new FrameFormatError('has no layers');
  const [conversation, start] = [view.getUint32(HEADER_BYTES, true), view.getUint32(HEADER_BYTES + 4, true)];
  const origin = readName(view, HEADER_BYTES + LAYERS_BYTES);
  const { route, at } = readRoute(view, origin.at, ranges);
  return { origin: origin.name, conversation, route, start, at };
}

/** What reads beyond the frame's end is no frame of ours. */
function withinBounds<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw new FrameFormatError('has not the length of its kind, or no sense');
    throw error;
  }
}

function readPairs(view: DataView, tokens: number): { readonly pairs: Pick<ExpertWork, 'counts' | 'experts' | 'weights'>; readonly at: number } {
  let at = HEADER_BYTES;
  if (view.byteLength < at + tokens) throw new FrameFormatError('ends within its counts of experts');
  const counts = new Uint8Array(tokens);
  let total = 0;
  for (let token = 0; token < tokens; token++) {
    const count = view.getUint8(at++);
    if (count === 0 || count > MOST_EXPERTS) throw new FrameFormatError(`asks for ${count} experts for a token`);
    counts[token] = count;
    total += count;
  }
  if (view.byteLength < at + total * 6) throw new FrameFormatError('ends within its experts');
  const experts = new Uint16Array(total);
  const weights = new Float32Array(total);
  for (let i = 0; i < total; i++) {
    experts[i] = view.getUint16(at + i * 2, true);
    weights[i] = view.getFloat32(at + total * 2 + i * 4, true);
  }
  return { pairs: { counts, experts, weights }, at: at + total * 6 };
}

function checkLength({ length }: Uint8Array, expected: number): void {
  if (length !== expected) throw new FrameFormatError(`has ${length} bytes instead of ${expected}`);
}

function header(bytes: number, kind: number, id: number, format: WireFormat = 'f32', layer = 0, tokens = 0): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint8(0, VERSION);
  view.setUint8(1, kind);
  view.setUint8(2, WIRE_FORMATS.indexOf(format));
  view.setUint32(4, id, true);
  view.setUint16(8, layer, true);
  view.setUint16(10, tokens, true);
  return view;
}

function withHeader(kind: number, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(header(HEADER_BYTES + body.length, kind, 0));
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

function bodyOf({ buffer, byteOffset, byteLength }: DataView<ArrayBuffer>): DataView<ArrayBuffer> {
  return new DataView(buffer, byteOffset + HEADER_BYTES, byteLength - HEADER_BYTES);
}

function bytesOf({ buffer }: DataView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer);
}
