import { env, InferenceSession, Tensor } from 'onnxruntime-web/webgpu';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import { median } from '../../packages/cli/src/numbers.ts';
import type { Emit } from '../src/job.ts';
import { encodeOnnx, type Constant } from './onnx.ts';
import type { QmoeJob, QmoeReport } from './types.ts';

/** Inputs of a scale, as of Q4_0. */
const BLOCK = 32;
/** Different inputs, so that runs ask for different experts and weights come from memory. */
const INPUTS = 16;
/** Runs that are awaited together: a decoded token's are encoded ahead. */
const AHEAD = 64;

/** Router to weighted sum as a MatMul and a QMoE node of onnxruntime-web, all on the GPU: weights, inputs, outputs. */
export async function measureQmoe({ hidden, width, experts, topK, tokens, runs }: QmoeJob, emit: Emit): Promise<QmoeReport> {
  env.wasm.wasmPaths = { wasm: wasmUrl };
  env.wasm.numThreads = 1;
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const precision = adapter?.features.has('shader-f16') && typeof Float16Array === 'function' ? 'f16' : 'f32';
  const type = precision === 'f16' ? 'float16' : 'float32';
  const floats = (length: number, deviation: number) => {
    const values = Float32Array.from({ length }, () => (Math.random() - 0.5) * 2 * deviation);
    return precision === 'f16' ? new Float16Array(values) : values;
  };
  const weights = (name: string, rows: number, columns: number): Constant[] => {
    const packed = new Uint8Array((experts * rows * columns) / 2);
    // A piece at a time: that is as much as one call gives.
    for (let at = 0; at < packed.length; at += 65_536) crypto.getRandomValues(packed.subarray(at, at + 65_536));
    return [
      { name, type: 'uint8', shape: [experts, rows, columns / 2], data: packed },
      { name: `${name}_scales`, type, shape: [experts, rows, columns / BLOCK], data: floats((experts * rows * columns) / BLOCK, 0.01) },
    ];
  };
  emit('QMoE: making the model');
  const model = encodeOnnx({
    constants: [{ name: 'router', type, shape: [hidden, experts], data: floats(hidden * experts, 0.05) }, ...weights('gate_up', 2 * width, hidden), ...weights('down', hidden, width)],
    nodes: [
      { operator: 'MatMul', inputs: ['x', 'router'], outputs: ['logits'] },
      {
        operator: 'QMoE',
        domain: 'com.microsoft',
        inputs: ['x', 'logits', 'gate_up', 'gate_up_scales', '', 'down', 'down_scales'],
        outputs: ['y'],
        attributes: { activation_type: 'swiglu', swiglu_fusion: 1, activation_alpha: 1, activation_beta: 0, k: topK, normalize_routing_weights: 1, expert_weight_bits: 4, block_size: BLOCK },
        floats: ['activation_alpha', 'activation_beta'],
      },
    ],
    inputs: [{ name: 'x', type, shape: ['tokens', hidden] }],
    outputs: [{ name: 'y', type, shape: ['tokens', hidden] }],
  });
  emit('QMoE: loading');
  const session = await InferenceSession.create(model, { executionProviders: ['webgpu'], preferredOutputLocation: 'gpu-buffer' });
  const device = await env.webgpu.device;
  const modes: { tokens: number; us: number }[] = [];
  for (const rows of tokens) {
    const bytes = rows * hidden * (precision === 'f16' ? 2 : 4);
    const buffers = Array.from({ length: INPUTS }, () => {
      const buffer = device.createBuffer({ size: Math.ceil(bytes / 16) * 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
      device.queue.writeBuffer(buffer, 0, floats(rows * hidden, 1));
      return buffer;
    });
    const inputs = buffers.map((buffer) => Tensor.fromGpuBuffer(buffer, { dataType: type, dims: [rows, hidden] }));
    const times: number[] = [];
    const ahead = rows === 1 ? AHEAD : INPUTS;
    for (let run = 0; run <= runs; run++) {
      const started = performance.now();
      for (let i = 0; i < ahead; i++) {
        const x = inputs[i % INPUTS];
        const { y } = x ? await session.run({ x }) : {};
        y?.dispose();
      }
      await device.queue.onSubmittedWorkDone();
      // The first run compiles.
      if (run > 0) times.push(((performance.now() - started) * 1000) / ahead);
      emit(`QMoE: ${rows} tokens, run ${run} of ${runs}`);
    }
    modes.push({ tokens: rows, us: median(times) });
    for (const buffer of buffers) buffer.destroy();
  }
  await session.release();
  return { engine: `onnxruntime-web ${env.versions.web ?? ''}`, precision, modes };
}
