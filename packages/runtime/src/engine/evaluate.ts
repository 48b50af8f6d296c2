import type { EvalOptions, EvalTensor, EvalTensors } from '../api/types.ts';
import { encodePass } from './encode-pass.ts';
import { allLogitsSteps } from './all-logits.ts';
import type { PlanContext } from './plan-context.ts';
import type { Stage, Tap } from './plan.ts';
import type { Session } from './session.ts';

/**
 * Runs `ids` from an empty cache and collects everything that the fixtures record: `embed`, `layer.I`, `final_norm`,
 * `logits`, `moe.I.{ids,weights,router_logits}`, each [n, width].
 * @param session a fresh session @param options `chunk` 1 runs the decode kernels, larger ones the prefill kernels
 */
export async function evaluate(context: PlanContext, session: Session, ids: readonly number[], options: EvalOptions = {}): Promise<EvalTensors> {
  const { device } = context.memory;
  const { vocabSize, hiddenSize } = context.spec;
  // The logits of a whole chunk must fit one binding.
  const most = Math.max(1, Math.floor(device.limits.maxStorageBufferBindingSize / (vocabSize * 4)));
  const chunk = Math.min(options.chunk ?? ids.length, context.chunk, most, ids.length);
  const logits = context.memory.storage('evaluate.logits', chunk * vocabSize * 4);
  const head = await allLogitsSteps(context, session.buffers, logits);
  const stages: readonly Stage[] = [
    ...(chunk === 1 ? session.plan.decode : session.plan.prefill),
    { steps: head.norm, taps: [{ name: 'final_norm', dtype: 'F32', buffer: context.scratch.normed, offset: 0, width: hiddenSize }] },
    { steps: head.logits, taps: [{ name: 'logits', dtype: 'F32', buffer: logits, offset: 0, width: vocabSize }] },
  ];
  const collected = new Collector(ids.length, stages.flatMap(({ taps }) => taps));
  try {
    for (let start = 0; start < ids.length; start += chunk) {
      const part = ids.slice(start, start + chunk);
      const size = { tokens: part.length, context: start + part.length };
      // Awaited together: browsers poll for completion, Firefox every tenth of a second.
      const arriving: Promise<void>[] = [];
      const copies: { readonly tap: Tap; readonly staging: GPUBuffer }[] = [];
      const onStage = (encoder: GPUCommandEncoder, { taps }: Stage) => {
        for (const tap of taps) copies.push({ tap, staging: copyOut(device, encoder, tap, part.length) });
      };
      const submit = (encoder: GPUCommandEncoder) => {
        device.queue.submit([encoder.finish()]);
        for (const { tap, staging } of copies.splice(0)) arriving.push(readOut(staging).then((bytes) => collected.put(tap, start, bytes)));
      };
      const { paged } = context;
      if (paged) {
        await paged.turns.run(async () => {
          session.startBatch(start, part);
          submit(await paged.run({ stages, size, onStage }));
        });
      } else {
        session.startBatch(start, part);
        for (const stage of stages) {
          const encoder = device.createCommandEncoder();
          encodePass(encoder, stage.steps, size);
          onStage(encoder, stage);
          submit(encoder);
        }
      }
      await Promise.all(arriving);
    }
  } finally {
    context.memory.destroy(logits);
  }
  return collected.tensors;
}

function copyOut(device: GPUDevice, encoder: GPUCommandEncoder, { buffer, offset, width, stride = width }: Tap, tokens: number): GPUBuffer {
  const bytes = ((tokens - 1) * stride + width) * 4;
  const staging = device.createBuffer({ label: 'evaluate', size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
  return staging;
}

async function readOut(staging: GPUBuffer): Promise<ArrayBuffer> {
  await staging.mapAsync(GPUMapMode.READ);
  const copy = staging.getMappedRange().slice(0);
  staging.destroy();
  return copy;
}

/** Puts chunks together into whole tensors. */
class Collector {
  readonly tensors: Record<string, EvalTensor> = {};

  constructor(tokens: number, taps: readonly Tap[]) {
    for (const { name, dtype, width } of taps) {
      const data = dtype === 'F32' ? new Float32Array(tokens * width) : new Int32Array(tokens * width);
      this.tensors[name] = { dtype, shape: [tokens, width], data };
    }
  }

  put({ name, dtype, width, stride = width }: Tap, firstToken: number, bytes: ArrayBuffer): void {
    const values = dtype === 'F32' ? new Float32Array(bytes) : new Int32Array(bytes);
    for (let token = 0; token * stride < values.length; token++) {
      this.tensors[name]?.data.set(values.subarray(token * stride, token * stride + width), (firstToken + token) * width);
    }
  }
}
