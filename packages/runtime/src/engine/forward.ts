import type { Step } from '@gatefold/shaders';
import type { LayerSpec } from '../model/spec.ts';
import { embeddedOf, embeddingSteps, lastLogitsSteps } from './head.ts';
import { ffnSteps } from './ffn.ts';
import { mixerSteps } from './mixers/index.ts';
import type { PlanContext } from './plan-context.ts';
import type { Stage, Tap } from './plan.ts';
import type { SessionBuffers } from './session-buffers.ts';

export type SamplerMode = 'greedy' | 'sample';

/** The dispatches of a session's forward pass, made once: embedding and layers, logits of the last token, sampling. */
export interface ForwardPlan {
  readonly prefill: readonly Stage[];
  readonly decode: readonly Stage[];
  readonly lastLogits: readonly Step[];
  /** Made at the first use: software adapters compile a stage for seconds, and most answers need one of the two. */
  sampler(mode: SamplerMode): Promise<readonly Step[]>;
}

/** Compiles what is not compiled yet; layers of one shape share pipelines. */
export async function forwardPlan(plan: PlanContext, session: SessionBuffers): Promise<ForwardPlan> {
  const [prefill, decode, lastLogits] = await Promise.all([
    trunkStages(plan, session, 'prefill'),
    trunkStages(plan, session, 'decode'),
    lastLogitsSteps(plan, session),
  ]);
  const samplers = new Map<SamplerMode, Promise<readonly Step[]>>();
  return {
    prefill,
    decode,
    lastLogits,
    sampler(mode) {
      const steps = samplers.get(mode) ?? samplerSteps(plan, session, mode);
      samplers.set(mode, steps);
      return steps;
    },
  };
}

/** Embedding, then mixer and FFN of each layer, with the taps that `evaluate` reads. */
async function trunkStages(plan: PlanContext, session: SessionBuffers, mode: 'decode' | 'prefill'): Promise<readonly Stage[]> {
  const residual = (name: string): Tap => ({
    name,
    dtype: 'F32',
    buffer: plan.scratch.x,
    offset: 0,
    width: plan.spec.hiddenSize,
  });
  const layer = async (spec: LayerSpec): Promise<Stage> => {
    const [mixer, ffn] = await Promise.all([mixerSteps({ plan, session, layer: spec, mode }), ffnSteps(plan, session, spec, mode)]);
    const { routed } = ffn;
    return {
      steps: [...mixer, ...ffn.steps],
      taps: [...ffn.taps, residual(`layer.${spec.index}`)],
      ...(routed ? { routed: { ...routed, first: mixer.length + routed.first, end: mixer.length + routed.end, joined: mixer.length + routed.joined, foretold: mode === 'decode' ? await plan.paged?.foretell?.(plan, session, spec.index) : undefined } } : {}),
    };
  };
  const embedding = embeddingSteps(plan, embeddedOf(session)).then((steps): Stage => ({ steps, taps: [residual('embed')] }));
  return Promise.all([embedding, ...plan.spec.layers.map(layer)]);
}

/** Chooses a session's next token. */
async function samplerSteps({ shaders, spec, scratch, samplerScratch }: PlanContext, session: SessionBuffers, mode: SamplerMode): Promise<readonly Step[]> {
  const { sampler } = await import('@gatefold/shaders/sampler');
  return sampler(shaders, {
    label: 'sample',
    mode,
    logits: { buffer: scratch.logits },
    vocab: spec.vocabSize,
    sampling: { buffer: session.sampling },
    seen: { buffer: session.seen },
    batch: { buffer: session.batch },
    ids: { buffer: session.ids },
    result: { buffer: session.result, size: 16 },
    scratch: { buffer: samplerScratch },
  });
}
