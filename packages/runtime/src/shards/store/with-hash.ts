import { sha256 } from '../hash.ts';
import type { FoundShard } from './store.ts';

export async function withHash(bytes: Uint8Array<ArrayBuffer>): Promise<FoundShard> {
  return { bytes, sha256: await sha256(bytes) };
}
