import { ExpertResidency, type PlaceExpert } from '../../residency/expert-residency.ts';
import type { LoadOptions } from '../../api/types.ts';
import { BUDGET_FORMS, parseBudget, slotQuotas, type Budget, type SlotQuotas } from '../../residency/budget.ts';
import { HostTier } from '../../residency/host-tier.ts';
import type { ModelWeights } from '../../residency/weights.ts';
import type { ShardPlan, ShardReader } from '../../shards/shard.ts';
import { moeLayers } from '../session-buffers.ts';
import { LoadOptionError } from '../errors.ts';
import { Foretelling } from './foretell.ts';
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
  const host = new HostTier(reader, hostBytes(hostBudget ?? 0, reader.plan));
  const maxTopK = Math.max(...moeLayers(weights.spec).map(({ ffn }) => ffn.topK));
  // Beside a pass's ids, those that are foretold of the next layer.
  return new PagedExperts(weights.memory.device, new ExpertResidency(weights, host, place), (chunk + 1) * maxTopK, new Foretelling(weights));
}

/** How many slots layers get in the options' budget. Throws `LoadOptionError`. */
export function quotasOf({ gpuBudget = '100%', hostBudget = 0 }: LoadOptions): SlotQuotas {
  const budget = readBudget('gpuBudget', gpuBudget);
  if (hostBudget !== 0) readBudget('hostBudget', hostBudget);
  return (trunkBytes, layers) => slotQuotas(budget, trunkBytes, layers);
}

function readBudget(field: string, value: number | string): Budget {
  const budget = parseBudget(value);
  if (!budget) throw new LoadOptionError(field, value, BUDGET_FORMS);
  return budget;
}

function hostBytes(value: number | string, { shards }: ShardPlan): number {
  if (value === 0) return 0;
  const budget = readBudget('hostBudget', value);
  if ('bytes' in budget) return budget.bytes;
  return budget.share * shards.reduce((sum, { kind, byteLength }) => sum + (kind === 'expert' ? byteLength : 0), 0);
}
