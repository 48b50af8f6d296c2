import type { RouterTrace } from '../../model/router-trace.ts';
import type { Shard, ShardPlan } from '../shard.ts';
import { ManifestError } from './errors.ts';

/** What lies beside a model as `model.gguf.gatefold.json`: what its shards are, and what bytes they have. */
export interface ShardManifest {
  readonly format: typeof FORMAT;
  readonly version: 1;
  readonly shards: readonly ManifestShard[];
}

export interface ManifestShard {
  readonly id: string;
  /** [file, offset, length]: the shard's bytes are these, one after the other. */
  readonly ranges: readonly (readonly [file: number, offset: number, length: number])[];
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** How often a recorded trace used this expert. */
  readonly uses?: number;
}

const FORMAT = 'gatefold-manifest';

/** A manifest beside a URL is downloaded whole: no model needs more. Kimi K2's 23,000 experts take 5 MB. */
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

export function manifestName(model: string): string {
  return `${model}.gatefold.json`;
}

/** @param hashes SHA-256 by shard id @param trace counted as `uses` */
export function makeManifest({ shards }: ShardPlan, hashes: ReadonlyMap<string, string>, trace?: RouterTrace): ShardManifest {
  const uses = trace && countUses(shards, trace);
  const entry = ({ id, ranges, byteLength }: Shard): ManifestShard => ({
    id,
    ranges: ranges.map(({ file, offset, length }) => [file, offset, length]),
    size: byteLength,
    sha256: hashes.get(id) ?? '',
    ...(uses ? { uses: uses.get(id) ?? 0 } : {}),
  });
  return { format: FORMAT, version: 1, shards: shards.map(entry) };
}

/** Reads a manifest of whatever origin. Throws `ManifestError`. */
export function parseManifest(text: string, name: string): ShardManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ManifestError(name, 'is no JSON', { cause });
  }
  if (!isRecord(value) || value['format'] !== FORMAT) throw new ManifestError(name, `has no "format": "${FORMAT}"`);
  if (value['version'] !== 1) throw new ManifestError(name, `is of version ${String(value['version'])}, but this is for version 1`);
  const shards: unknown = value['shards'];
  if (!Array.isArray(shards) || !shards.every(isManifestShard)) throw new ManifestError(name, 'has shards without id, ranges, size or SHA-256');
  return { format: FORMAT, version: 1, shards };
}

/** What the manifest promises for the shards of a plan, by id. Throws `ManifestError` where it is about other shards. */
export function promisesOf(manifest: ShardManifest, { shards }: ShardPlan, name: string): ReadonlyMap<string, ManifestShard> {
  const known = new Map(manifest.shards.map((shard) => [shard.id, shard]));
  for (const { id, ranges } of shards) {
    const promised = known.get(id)?.ranges;
    const same = promised?.length === ranges.length && ranges.every(({ file, offset, length }, i) => String(promised[i]) === String([file, offset, length]));
    if (!same) throw new ManifestError(name, `does not fit the model: shard ${id} ${promised ? 'lies elsewhere' : 'is missing'}`);
  }
  return known;
}

function countUses(shards: readonly Shard[], { tokens }: RouterTrace): Map<string, number> {
  const layers = [...new Set(shards.flatMap(({ kind, layer }) => (kind === 'expert' && layer !== undefined ? [layer] : [])))].sort((a, b) => a - b);
  const uses = new Map<string, number>();
  for (const token of tokens) {
    for (const [place, experts] of token.entries()) {
      for (const expert of experts) {
        const id = `layer.${layers[place]}.expert.${expert}`;
        uses.set(id, (uses.get(id) ?? 0) + 1);
      }
    }
  }
  return uses;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isManifestShard(value: unknown): value is ManifestShard {
  if (!isRecord(value)) return false;
  const { id, ranges, size, sha256, uses } = value;
  const isRange = (range: unknown) => Array.isArray(range) && range.length === 3 && range.every((number) => Number.isSafeInteger(number) && number >= 0);
  const isHash = typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
  return typeof id === 'string' && Array.isArray(ranges) && ranges.every(isRange) && Number.isSafeInteger(size) && isHash && (uses === undefined || typeof uses === 'number');
}
