// What members of a room tell each other of themselves and of their plan, as bytes.
import type { SharedPlan } from './plan-types.ts';
import { nameBytes, readName, writeName } from './route.ts';

/** What a member tells the others of itself. Claims, as all that peers say. */
export interface MemberStatus {
  /** It has opened the room, and so is taken to have a conversation soon. */
  readonly isHost: boolean;
  /** Answers that it lately wrote at the same time; 0 for one that has only served. */
  readonly conversations: number;
  /** Round trips to others in milliseconds, by their names, as it has measured them. */
  readonly roundTripsMs: ReadonlyMap<string, number>;
}

const MOST_CONVERSATIONS = 0xffff;
/** A minute: beyond that nobody is worth asking. */
const LONGEST_MS = 60_000;

/** u8 host, u8 0, u16 conversations, u16 round trips: name, f32 milliseconds. */
export function encodeStatus({ isHost, conversations, roundTripsMs }: MemberStatus): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer([...roundTripsMs.keys()].reduce((sum, name) => sum + nameBytes(name) + 4, 6)));
  view.setUint8(0, isHost ? 1 : 0);
  view.setUint16(2, Math.min(conversations, MOST_CONVERSATIONS), true);
  view.setUint16(4, roundTripsMs.size, true);
  let at = 6;
  for (const [name, ms] of roundTripsMs) {
    at = writeName(view, at, name);
    view.setFloat32(at, ms, true);
    at += 4;
  }
  return new Uint8Array(view.buffer);
}

/** Throws `RangeError` for what is no status, or has another length. */
export function decodeStatus(view: DataView<ArrayBuffer>): MemberStatus {
  const roundTripsMs = new Map<string, number>();
  let next = 6;
  for (let left = view.getUint16(4, true); left > 0; left--) {
    const { name, at } = readName(view, next);
    const ms = view.getFloat32(at, true);
    if (!(ms >= 0 && ms <= LONGEST_MS)) throw new RangeError('has a round trip that cannot be');
    roundTripsMs.set(name, ms);
    next = at + 4;
  }
  checkEnd(view, next);
  return { isHost: view.getUint8(0) === 1, conversations: view.getUint16(2, true), roundTripsMs };
}

/**
 * u32 version, u8 strategy, u8 names, u16 MoE layers, u16 stages; names; of each layer u16 experts, of each expert u8 holders, each u8 of
 * the names; stages, each u8 of the names, u16 first, u16 end.
 */
export function encodePlan({ version, strategy, holders, stages }: SharedPlan): Uint8Array<ArrayBuffer> {
  const names = [...new Set([...holders.flat(2), ...stages.map(({ peer }) => peer)])];
  const numbers = new Map(names.map((name, i) => [name, i]));
  const bytes = 10 + names.reduce((sum, name) => sum + nameBytes(name), 0) + holders.reduce((sum, experts) => sum + 2 + experts.reduce((all, { length }) => all + 1 + length, 0), 0) + stages.length * 5;
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint32(0, version, true);
  view.setUint8(4, strategy === 'layers' ? 1 : 0);
  view.setUint8(5, names.length);
  view.setUint16(6, holders.length, true);
  view.setUint16(8, stages.length, true);
  let at = 10;
  for (const name of names) at = writeName(view, at, name);
  for (const experts of holders) {
    view.setUint16(at, experts.length, true);
    at += 2;
    for (const peers of experts) {
      view.setUint8(at++, peers.length);
      for (const peer of peers) view.setUint8(at++, numbers.get(peer) ?? 0);
    }
  }
  for (const { peer, first, end } of stages) {
    view.setUint8(at, numbers.get(peer) ?? 0);
    view.setUint16(at + 1, first, true);
    view.setUint16(at + 3, end, true);
    at += 5;
  }
  return new Uint8Array(view.buffer);
}

/** Throws `RangeError` for what is no plan, or has another length. */
export function decodePlan(view: DataView<ArrayBuffer>): SharedPlan {
  const names: string[] = [];
  let next = 10;
  for (let left = view.getUint8(5); left > 0; left--) {
    const { name, at } = readName(view, next);
    names.push(name);
    next = at;
  }
  const nameAt = (at: number): string => {
    const name = names[view.getUint8(at)];
    if (name === undefined) throw new RangeError('names a peer that it does not list');
    return name;
  };
  const holders = Array.from({ length: view.getUint16(6, true) }, () => {
    const experts = view.getUint16(next, true);
    next += 2;
    return Array.from({ length: experts }, () => {
      const peers = view.getUint8(next++);
      return Array.from({ length: peers }, () => nameAt(next++));
    });
  });
  const stages = Array.from({ length: view.getUint16(8, true) }, () => {
    const stage = { peer: nameAt(next), first: view.getUint16(next + 1, true), end: view.getUint16(next + 3, true) };
    next += 5;
    return stage;
  });
  checkEnd(view, next);
  return { version: view.getUint32(0, true), strategy: view.getUint8(4) === 1 ? 'layers' : 'experts', holders, stages };
}

function checkEnd({ byteLength }: DataView, end: number): void {
  if (byteLength !== end) throw new RangeError(`has ${byteLength} bytes instead of ${end}`);
}
