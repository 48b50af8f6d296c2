import { ExpertResidency, type PlaceExpert } from '../../residency/expert-residency.ts';
import { parseBudget } from '../../residency/budget.ts';
import { HostTier } from '../../residency/host-tier.ts';
import type { ModelWeights } from '../../residency/weights.ts';
import type { ShardPlan, ShardReader } from '../../shards/shard.ts';
import { moeLayers } from '../session-buffers.ts';
import { PagedExperts } from './paged-experts.ts';

export interface OnDemandOptions {
  readonly weights: ModelWeights;
  readonly reader: ShardReader;
  /** Longest pass in tokens. */
  readonly chunk: number;
  readonly hostBudget: number | string | undefined;
  readonly place: PlaceExpert;
}

/** Experts that come when they are asked for. */
export function openPagedExperts({ weights, reader, chunk, hostBudget, place }: OnDemandOptions): PagedExperts {
  const host = new HostTier(reader, hostBytes(hostBudget, reader.plan));
  const maxTopK = Math.max(...moeLayers(weights.spec).map(({ ffn }) => ffn.topK));
  return new PagedExperts(weights.memory.device, new ExpertResidency(weights, host, place), chunk * maxTopK);
}

function hostBytes(value: number | string | undefined, { shards }: ShardPlan): number {
  const budget = value === undefined ? undefined : parseBudget(value);
  if (!budget) return 0;
  if ('bytes' in budget) return budget.bytes;
  return budget.share * shards.reduce((sum, { kind, byteLength }) => sum + (kind === 'expert' ? byteLength : 0), 0);
}
