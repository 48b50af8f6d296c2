import { Wllama, type RawCompletionParams, type RawCompletionResponse } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';
import { version } from '@wllama/wllama/package.json';
import type { Emit } from '../src/job.ts';
import { benchText, LETTERS } from './prompt.ts';
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
    if (backend === 'webgpu' && !used.startsWith('webgpu')) throw new Error('wllama put no layers on WebGPU, which it does without shader-f16');
    // The first runs warm caches and clocks up, and tell how many tokens a word takes in this model's vocabulary.
    let words = promptTokens;
    for (let attempt = 0; attempt < 3; attempt++) {
      const { prompt_n: tokens } = await complete(wllama, benchText(attempt, words), genTokens);
      emit(`wllama: warm-up, ${tokens} tokens`);
      if (attempt > 0 && tokens === promptTokens) break;
      words = Math.max(1, Math.round((words * promptTokens) / tokens));
    }
    const runs: SpeedRun[] = [];
    for (let run = 1; run <= runCount; run++) {
      const timings = await complete(wllama, benchText(run + 2, words), genTokens);
      runs.push({ prefillTps: timings.prompt_per_second, decodeTps: timings.predicted_per_second });
      emit(`wllama: run ${run} of ${runCount}, ${timings.prompt_n} tokens`);
    }
    return { engine: `wllama ${version} (llama.cpp ${Wllama.getLibllamaVersion()})`, backend: used, loadMs, promptTokens, genTokens, sessions: 1, runs };
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)} (its log: ${log.slice(-3).join(' / ')})`, { cause: error });
  } finally {
    await wllama.exit();
  }
}

async function complete(wllama: Wllama, prompt: string, genTokens: number): Promise<Timings> {
  // Models with random weights write bytes that are no text, which llama.cpp's server cannot answer with: letters only.
  // (wllama's type of `logit_bias` is one that no value has.)
  const letters = Object.fromEntries(LETTERS.map((letter) => [letter, 1000])) as unknown as NonNullable<RawCompletionParams['logit_bias']>;
  // `cache_prompt` is llama.cpp's own.
  const request: RawCompletionParams & { readonly cache_prompt: boolean; readonly stream: false } = { prompt, max_tokens: genTokens, temperature: 0, ignore_eos: true, cache_prompt: false, logit_bias: letters, stream: false };
  const { timings } = await wllama.createCompletion(request);
  if (!timings) throw new Error('wllama reports no timings');
  if (timings.predicted_n < genTokens - 1) throw new Error(`wllama wrote ${timings.predicted_n} of ${genTokens} tokens`);
  return timings;
}

/** Where the layers lie, as llama.cpp logged it while loading. */
function usedBackend(log: readonly string[], wllama: Wllama): string {
  const offloaded = log.map((line) => /offloaded (\d+)\/(\d+) layers to GPU/.exec(line)).find((match) => match !== null);
  if (offloaded && Number(offloaded[1]) > 0) return `webgpu, ${offloaded[1]} of ${offloaded[2]} layers`;
  return `cpu, ${wllama.getNumThreads()} threads`;
}
