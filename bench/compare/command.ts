import { basename } from 'node:path';
import { UsageError, count, defined, number, precision, text, type Options } from '../../packages/cli/src/args.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import { showCompare } from './show.ts';
import type { CompareRow, SpeedReport } from './types.ts';

/** Prefill and decode of this engine and of wllama, each in a browser of its own on the same adapter. */
export async function compareCommand(options: Options): Promise<void> {
  const speed = {
    promptTokens: count(options, 'prompt-tokens', 1) ?? 64,
    genTokens: count(options, 'gen-tokens', 2) ?? 64,
    runs: count(options, 'runs', 1) ?? 3,
  };
  const sampling = defined({ temperature: number(options, 'temperature'), topK: count(options, 'top-k'), topP: number(options, 'top-p') });
  const sessions = count(options, 'sessions', 1) ?? 1;
  const ours = await attempt('gatefold', () =>
    runAlone(options, 'gatefold', {
      ...speed,
      sampling,
      sessions,
      ...defined({ gpuBudget: text(options, 'gpu-budget'), hostBudget: text(options, 'host-budget'), prefillChunk: count(options, 'prefill-chunk', 1), bareKernels: options['bare-kernels'] === true ? true : undefined, precision: precision(options) }),
    }),
  );
  const peer = text(options, 'peer') ?? (hostName(options) === 'chromium' ? 'auto' : 'none');
  const rows = [ours, ...(await peerRows(options, peer, speed))];
  await print(options, { command: 'compare', model: basename(modelPath(options)), host: hostName(options), sampling, rows }, showCompare);
  if ('error' in ours) throw new Error(`gatefold could not be measured: ${ours.error}`);
}

/** `auto`: on WebGPU, and where wllama cannot, on CPU threads. */
async function peerRows(options: Options, peer: string, speed: { promptTokens: number; genTokens: number; runs: number }): Promise<CompareRow[]> {
  if (peer === 'none') return [];
  if (peer !== 'auto' && peer !== 'webgpu' && peer !== 'cpu') throw new UsageError(`--peer is "${peer}", but must be auto, webgpu, cpu or none.`);
  const run = (backend: 'webgpu' | 'cpu') => attempt(`wllama, ${backend}`, () => runAlone(options, 'wllama', { ...speed, backend }));
  const first = await run(peer === 'cpu' ? 'cpu' : 'webgpu');
  return peer === 'auto' && 'error' in first ? [first, await run('cpu')] : [first];
}

async function attempt(engine: string, measure: () => Promise<SpeedReport>): Promise<CompareRow> {
  try {
    return { report: await measure() };
  } catch (error) {
    return { engine, error: error instanceof Error ? error.message : String(error) };
  }
}
