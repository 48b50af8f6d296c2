import type { SamplingOptions } from '@gatefold/runtime';
import { MOST_FEW, type Step } from '@gatefold/shaders';
import { BatchPlan, batchableLayers } from '../../../runtime/src/engine/batch/batch-plan.ts';
import type { LoadedModel } from '../../../runtime/src/engine/loaded-model.ts';
import type { SamplerMode } from '../../../runtime/src/engine/forward.ts';
import type { Session } from '../../../runtime/src/engine/session.ts';

/** Passes over one token of each of several sessions, as the engine runs them, to be run over and over from one position. */
export class BatchPasses {
  private constructor(
    readonly steps: readonly Step[],
    readonly plan: BatchPlan,
    readonly sessions: readonly Session[],
    readonly prompt: readonly number[],
  ) {}

  /** Undefined where the model's sessions take turns. Throws `RangeError` for more than a pass has rows. */
  static async open(model: LoadedModel, count: number, prompt: readonly number[], sampling: SamplingOptions, mode: SamplerMode): Promise<BatchPasses | undefined> {
    if (count > MOST_FEW) throw new RangeError(`${count} sessions; a pass has room for ${MOST_FEW}`);
    const layers = batchableLayers(model.context);
    if (!layers) return undefined;
    const sessions: Session[] = [];
    for (let row = 0; row < count; row++) {
      const session = await model.createSession();
      // Of its own last token, so that the sessions' experts differ.
      await session.generate({ promptIds: [...prompt.slice(0, -1), lastOf(prompt, row)], maxTokens: 1, stopIds: [], sampling }, {});
      sessions.push(session);
    }
    const plan = await BatchPlan.open(model.context, layers);
    await plan.prepare(mode);
    const passes = new BatchPasses(plan.steps(sessions.map(({ buffers }) => buffers), mode), plan, sessions, prompt);
    passes.start();
    return passes;
  }

  /** Puts all sessions before the last token of their prompts. */
  start(): void {
    const { sessions, plan, prompt } = this;
    const { device } = plan.main.memory;
    const encoder = device.createCommandEncoder();
    for (const [row, session] of sessions.entries()) {
      session.startBatch(prompt.length - 1, [lastOf(prompt, row)]);
      plan.enter(encoder, session.buffers, row);
    }
    device.queue.writeBuffer(plan.batch, 0, Uint32Array.of(0, sessions.length));
    device.queue.submit([encoder.finish()]);
  }
}

/** The last id of a row's prompt. */
function lastOf(prompt: readonly number[], row: number): number {
  return prompt.at(-1 - (row % prompt.length)) ?? 0;
}
