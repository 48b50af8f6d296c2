import type { GenerateStats } from '../api/types.ts';
import type { GenerateOutcome } from '../engine/session.ts';
import type { MeshCounts } from '../mesh/mesh-counts.ts';
import type { ShardReader } from '../shards/shard.ts';

/** The figures of one answer; rates are 0 where there was nothing to time. */
export function generateStats(
  { ids, reusedTokens, prefillMs, decodeMs, counts, mesh }: GenerateOutcome & { readonly mesh?: MeshCounts },
  promptTokens: number,
  expertsPerToken: number,
  reader: ShardReader,
  gpuBytes: number,
): GenerateStats {
  const generatedTokens = ids.length;
  const decoded = Math.max(0, generatedTokens - 1);
  const perDecoded = (count: number) => (counts.tokens > 0 ? count / counts.tokens : 0);
  return {
    promptTokens,
    reusedTokens,
    generatedTokens,
    prefillMs,
    decodeMs,
    prefillTps: prefillMs > 0 ? ((promptTokens - reusedTokens) * 1000) / prefillMs : 0,
    decodeTps: decodeMs > 0 ? (decoded * 1000) / decodeMs : 0,
    dispatchesPerToken: perDecoded(counts.dispatches),
    submitsPerToken: perDecoded(counts.submits),
    readbacksPerToken: perDecoded(counts.readbacks),
    bytesFetched: reader.stats.bytesFetched,
    shardsFetched: reader.stats.shardsFetched,
    shardsTotal: reader.plan.shards.length,
    expertHits: (promptTokens - reusedTokens + decoded) * expertsPerToken - counts.expertLoads,
    expertMisses: counts.expertLoads,
    expertBytes: counts.expertBytes,
    gpuBytes,
    ...(mesh && { mesh }),
  };
}
