import type { Step } from '@gatefold/shaders';
import { routerLogitsSteps, routerStep, type RouterBuffers } from '../ffn.ts';
import type { Route } from '../expert-steps.ts';
import type { PlanContext } from '../plan-context.ts';
import { ROUTE_BYTES, widestLayer } from '../scratch.ts';
import { moeLayers, type PassBuffers } from '../session-buffers.ts';

/** A layer's choice as its router makes it of an earlier layer's input: complete after `steps`. */
export interface Foretold {
  /** Index of the layer. */
  readonly layer: number;
  readonly steps: readonly Step[];
  /** [topK] u32 */
  readonly ids: GPUBuffer;
  readonly topK: number;
}

/** Runs a router ahead of its layer, on the residual stream as it is. Writes nothing that the pass itself reads. */
export class Foretelling implements RouterBuffers {
  readonly logits: GPUBufferBinding;
  readonly normed: GPUBuffer;
  readonly sharedWeights: GPUBuffer;
  readonly #route: Route;

  constructor({ memory, spec }: Pick<PlanContext, 'memory' | 'spec'>) {
    const { routerRows, topK } = widestLayer(spec);
    this.logits = { buffer: memory.storage('foretold.router_logits', routerRows * 4) };
    this.normed = memory.storage('foretold.normed', spec.hiddenSize * 4);
    this.sharedWeights = memory.storage('foretold.shared_weights', 4);
    this.#route = { ids: { buffer: memory.storage('foretold.ids', ROUTE_BYTES) }, weights: { buffer: memory.storage('foretold.weights', topK * 4) } };
  }

  /** What the MoE layer after `layer` will choose for a token, probably; undefined after the last one. */
  async after(plan: PlanContext, session: PassBuffers, layer: number): Promise<Foretold | undefined> {
    const next = moeLayers(plan.spec).find(({ index }) => index > layer);
    const spec = next && plan.spec.layers[next.index];
    if (!spec) return undefined;
    const { ffn } = next;
    const steps = [...routerLogitsSteps(plan, session, spec, ffn, this, 'decode'), routerStep(plan, spec.index, ffn, this.#route, this)];
    return { layer: spec.index, steps: (await Promise.all(steps)).flat(), ids: this.#route.ids.buffer, topK: ffn.topK };
  }
}
