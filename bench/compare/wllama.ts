import { Wllama, type RawCompletionResponse } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';
import { version } from '@wllama/wllama/package.json';
import type { Emit } from '../src/job.ts';
import { benchPrompt } from './prompt.ts';
import type { SpeedReport, SpeedRun, WllamaJob } from './types.ts';

/** llama.cpp's own clocks of one completion. */
type Timings = NonNullable<RawCompletionResponse['timings']>;

/** Prefill and decode rates of wllama (llama.cpp as WebAssembly) on the same file, greedy, all layers on one backend. */
export async function measureWllama(file: File, job: WllamaJob, emit: Emit): Promise<SpeedReport> {
  const { promptTokens, genTokens, runs: runCount, backend } = job;
  const log: string[] = [];
  const note = (...parts: unknown[]) => void log.push(parts.map(String).join(' '));
  const wllama = new Wllama({ default: wasmUrl }, { logger: { debug: note, log: note, warn: note, error: note } });
  try {
    const started = performance.now();
    await wllama.loadModel([file], {
      n_ctx: promptTokens + genTokens + 16,
      n_parallel: 1,
      ...(backend === 'cpu' ? { n_gpu_layers: 0, n_threads: navigator.hardwareConcurrency } : {}),
    });
    const loadMs = performance.now() - started;
    const used = usedBackend(log, wllama);
    if (backend === 'webgpu' && !used.startsWith('webgpu')) throw new Error(`wllama put no layers on WebGPU: it needs shader-f16, which this adapter may lack. It would run on ${used}.`);
    const { n_vocab: vocabSize } = wllama.getLoadedContextInfo();
    const runs: SpeedRun[] = [];
    for (let run = 0; run <= runCount; run++) {
      const timings = await complete(wllama, benchPrompt(run, promptTokens, vocabSize), genTokens);
      // The first run warms caches and clocks up.
      if (run > 0) runs.push({ prefillTps: timings.prompt_per_second, decodeTps: timings.predicted_per_second });
      emit(`wllama: run ${run} of ${runCount}`);
    }
    return { engine: `wllama ${version} (llama.cpp ${Wllama.getLibllamaVersion()})`, backend: used, loadMs, promptTokens, genTokens, sessions: 1, runs };
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}. wllama's last words: ${log.slice(-5).join(' / ')}`, { cause: error });
  } finally {
    await wllama.exit();
  }
}

async function complete(wllama: Wllama, prompt: readonly number[], genTokens: number): Promise<Timings> {
  // The server inside takes ids as well as text; wllama's types know of text only.
  const request = { prompt, max_tokens: genTokens, temperature: 0, ignore_eos: true, cache_prompt: false, stream: false as const };
  const { timings } = await wllama.createCompletion(request as unknown as { prompt: string; stream: false });
  if (!timings) throw new Error('wllama reports no timings');
  if (timings.prompt_n !== prompt.length || timings.predicted_n !== genTokens) {
    throw new Error(`wllama ran ${timings.prompt_n} of ${prompt.length} prompt tokens and ${timings.predicted_n} of ${genTokens} answer tokens`);
  }
  return timings;
}

/** Where the layers lie, as llama.cpp logged it while loading. */
function usedBackend(log: readonly string[], wllama: Wllama): string {
  const offloaded = log.map((line) => /offloaded (\d+)\/(\d+) layers to GPU/.exec(line)).find((match) => match !== null);
  if (offloaded && Number(offloaded[1]) > 0) return `webgpu, ${offloaded[1]} of ${offloaded[2]} layers`;
  return `cpu, ${wllama.getNumThreads()} threads`;
}
