import type { ShaderContext } from '../context.ts';
import { KernelArgumentError } from '../errors.ts';
import type { Step } from '../step.ts';
import source from '../wgsl/rare/sparse_mixer.wesl?raw';

/** Threads of a token. */
const MAX_TOP_K = 32;

export interface SparseMixerArgs {
  readonly label: string;
  /** [tokens, experts] f32 */
  readonly logits: GPUBufferBinding;
  /** [tokens, topK] u32: the experts of the largest logits, best first */
  readonly ids: GPUBufferBinding;
  /** [tokens, topK] f32, written */
  readonly weights: GPUBufferBinding;
  readonly experts: number;
  readonly topK: number;
  /** Distance, relative to the larger logit, up to which another expert counts. */
  readonly close: number;
}

/** Weights of chosen experts by SparseMixer (arXiv 2409.12136): each one's share of those close to it that were not chosen before. */
export async function sparseMixer(context: ShaderContext, { label, logits, ids, weights, experts, topK, close }: SparseMixerArgs): Promise<Step> {
  if (topK > MAX_TOP_K) throw new KernelArgumentError(label, `${topK} experts a token; at most ${MAX_TOP_K}`);
  return context.step({
    label,
    module: 'rare/sparse_mixer',
    sources: { 'rare/sparse_mixer.wesl': source },
    constants: { EXPERTS: experts, TOP_K: topK, CLOSE: close },
    bindings: { 0: logits, 1: ids, 2: weights },
    workgroups: ({ tokens }) => [tokens, 1, 1],
  });
}
