import { ExpertResidency, type PlaceExpert } from '../../residency/expert-residency.ts';
import type { ModelWeights } from '../../residency/weights.ts';
import type { ShardReader } from '../../shards/shard.ts';
import { moeLayers } from '../session-buffers.ts';
import { PagedExperts } from './paged-experts.ts';

/** Experts that come when they are asked for. @param chunk longest pass in tokens */
export function openPagedExperts(weights: ModelWeights, reader: ShardReader, chunk: number, place: PlaceExpert): PagedExperts {
  const maxTopK = Math.max(...moeLayers(weights.spec).map(({ ffn }) => ffn.topK));
  return new PagedExperts(weights.memory.device, new ExpertResidency(weights, reader, place), chunk * maxTopK);
}
