import { HandshakeError } from '../errors.ts';

/** The SHA-256 fingerprint of the DTLS certificate that an SDP announces. Throws `HandshakeError` where that is not exactly one. */
export function fingerprintOf(sdp: string | undefined): string {
  const found = new Set(Array.from((sdp ?? '').matchAll(/^a=fingerprint:(.+?)\s*$/gm), ([, value = '']) => value.toLowerCase()));
  const [only = ''] = found;
  if (found.size !== 1 || !/^sha-256 [0-9a-f]{2}(:[0-9a-f]{2}){31}$/.test(only)) throw new HandshakeError('fingerprint');
  return only;
}
