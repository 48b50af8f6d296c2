import type { Step } from '@gatefold/shaders';
import type { LayerSpec, MixerSpec } from '../../model/spec.ts';
import type { PlanContext } from '../plan-context.ts';
import type { PassBuffers, SessionBuffers } from '../session-buffers.ts';

/** What a mixer's steps are made for: one layer in one session, one token at a time or many. */
export interface MixerContext {
  readonly plan: PlanContext;
  readonly session: SessionBuffers;
  readonly layer: LayerSpec;
  readonly mode: 'decode' | 'prefill';
}

/** The same, where no layer's state is needed: sessions' tokens may run together. */
export type RowsContext = Omit<MixerContext, 'session'> & { readonly session: PassBuffers };

/** Steps of one layer's mixer: norm of the residual stream, mixing, output projection, residual add. */
export type MixerSteps<Spec extends MixerSpec> = (context: MixerContext, mixer: Spec) => Promise<readonly Step[]>;
