// Both sides show that they know a 128-bit key, and that the connection ends at the two of them:
//   → hello  { version, nonce, name, role }      both sides at once
//   → proof  { secret, fingerprint }             HMAC-SHA-256 over the transcript; the second one also over both DTLS fingerprints
//   → ready                                      after the other's proof was right; only then payload may follow
// The transcript is both hellos in a fixed order, and each MAC names the side that made it, so that neither an old
// handshake nor our own words sent back to us prove anything. A relay that puts its own fingerprints into the SDP of
// both sides stands between them, but cannot make the second MAC.
import { HandshakeError } from './errors.ts';
import { fromHex, isHex128, randomHex, toHex } from './hex.ts';
import type { ControlChannel, ControlMessage } from './transport/control-channel.ts';

export const PROTOCOL_VERSION = 1;
const TIMEOUT_MS = 10_000;

/** `host` lets others in, `guest` asks to be, `member` was. */
export type Role = 'host' | 'guest' | 'member';

export interface Side {
  readonly name: string;
  readonly role: Role;
}

export interface HandshakeOptions {
  readonly self: Side;
  /** Which end of the connection we are. */
  readonly end: 'offerer' | 'answerer';
  /** The key, 32 hex digits, that we share with one who has this role. */
  readonly keyFor: (role: Role) => string | Promise<string>;
  /** Of our own and the other's DTLS certificate, as our SDP has them. */
  readonly fingerprints: { readonly own: string; readonly other: string };
  /** Name that the other side must have. */
  readonly peer: string;
  /** Awaited after the other's proof and before it may send payload: whatever takes that must be there by then. */
  readonly onProven?: () => void | Promise<void>;
  readonly timeoutMs?: number;
}

interface Hello extends Side {
  readonly version: number;
  readonly nonce: string;
}

/** @returns who the other side is. Throws `HandshakeError`; then the caller closes the connection. */
export async function shakeHands(control: ControlChannel, options: HandshakeOptions): Promise<Side> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new HandshakeError('timeout')), options.timeoutMs ?? TIMEOUT_MS);
  });
  try {
    return await Promise.race([exchange(control, options), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function exchange(control: ControlChannel, { self, end, keyFor, fingerprints, peer, onProven }: HandshakeOptions): Promise<Side> {
  const own: Hello = { version: PROTOCOL_VERSION, nonce: randomHex(16), ...self };
  control.send({ type: 'hello', ...own });
  const other = readHello(await next(control, 'hello'));
  if (other.name !== peer || other.nonce === own.nonce) throw new HandshakeError('malformed');

  const isOfferer = end === 'offerer';
  const transcript = isOfferer ? [own, other] : [other, own];
  const channel = isOfferer ? [fingerprints.own, fingerprints.other] : [fingerprints.other, fingerprints.own];
  const otherEnd = isOfferer ? 'answerer' : 'offerer';
  const mac = await Mac.of(await keyFor(other.role));
  control.send({
    type: 'proof',
    secret: await mac.make([end, ...transcript.map(helloText)]),
    fingerprint: await mac.make([end, ...transcript.map(helloText), ...channel]),
  });
  const proof = await next(control, 'proof');
  if (!(await mac.isRight(proof['secret'], [otherEnd, ...transcript.map(helloText)]))) throw new HandshakeError('secret');
  if (!(await mac.isRight(proof['fingerprint'], [otherEnd, ...transcript.map(helloText), ...channel]))) throw new HandshakeError('fingerprint');

  await onProven?.();
  control.send({ type: 'ready' });
  await next(control, 'ready');
  return { name: other.name, role: other.role };
}

/** The other side's next message. Throws `HandshakeError` where something else comes, or nothing any more. */
async function next(control: ControlChannel, type: string): Promise<ControlMessage> {
  const message = await control.next();
  if (!message) throw new HandshakeError('closed');
  if (message['type'] !== type) throw new HandshakeError('malformed');
  return message;
}

function readHello({ version, nonce, name, role }: ControlMessage): Hello {
  if (version !== PROTOCOL_VERSION) throw new HandshakeError('version');
  if (!isHex128(nonce) || !isHex128(name) || !(role === 'host' || role === 'guest' || role === 'member')) throw new HandshakeError('malformed');
  return { version, nonce, name, role };
}

const helloText = ({ version, nonce, name, role }: Hello) => `${version} ${nonce} ${name} ${role}`;

/** HMAC-SHA-256 under one key. No part may contain a line break. */
class Mac {
  private constructor(readonly key: CryptoKey) {}

  static async of(key: string): Promise<Mac> {
    return new Mac(await crypto.subtle.importKey('raw', fromHex(key), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']));
  }

  async make(parts: readonly string[]): Promise<string> {
    return toHex(new Uint8Array(await crypto.subtle.sign('HMAC', this.key, text(parts))));
  }

  async isRight(mac: unknown, parts: readonly string[]): Promise<boolean> {
    return typeof mac === 'string' && /^[0-9a-f]{64}$/.test(mac) && crypto.subtle.verify('HMAC', this.key, fromHex(mac), text(parts));
  }
}

const text = (parts: readonly string[]) => new TextEncoder().encode(['gatefold mesh', ...parts].join('\n'));
