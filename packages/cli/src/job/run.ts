import type { LoadOptions, Model } from '@gatefold/runtime';
import { doctor } from './doctor.ts';
import { encodeSafetensors } from './safetensors.ts';
import type { BenchJob, BenchReport, EvalJob, EvalReport, GenerateJob, GenerateReport, Job, JobEnvironment, JobEvent, JobReport, PromptInput } from './types.ts';

/** Runs a job with the engine of wherever this code runs: a page in Chromium, or Node. */
export async function runJob(job: Job, environment: JobEnvironment, emit: (event: JobEvent) => void): Promise<JobReport> {
  if (job.command === 'doctor') return doctor(environment.gpu());
  const started = performance.now();
  const model = await environment.load(job.model, loadOptions(job, emit));
  const loadMs = performance.now() - started;
  try {
    if (job.command === 'generate') return await generate(model, job, emit);
    if (job.command === 'eval') return await evaluate(model, job, environment);
    return await bench(model, job, loadMs, emit);
  } finally {
    await model.dispose();
  }
}

function loadOptions({ contextLength, bareKernels, maxBindingBytes, prefillChunk }: Exclude<Job, { command: 'doctor' }>, emit: (event: JobEvent) => void): LoadOptions {
  return {
    store: 'none',
    ...(contextLength === undefined ? {} : { contextLength }),
    ...(bareKernels === undefined ? {} : { bareKernels }),
    ...(maxBindingBytes === undefined ? {} : { maxBindingBytes }),
    ...(prefillChunk === undefined ? {} : { prefillChunk }),
    onWarning: ({ code, message }) => {
      // Without a store on purpose: nothing to warn about.
      if (code !== 'no-store') emit({ kind: 'warning', message });
    },
    onProgress: ({ phase, bytes, bytesTotal }) => emit({ kind: 'progress', message: `${phase} ${megabytes(bytes)} of ${megabytes(bytesTotal)} MB` }),
  };
}

async function promptIds(model: Model, input: PromptInput): Promise<number[]> {
  if (input.kind === 'ids') return [...input.ids];
  if (input.kind === 'prompt') return model.tokenize(input.text);
  const text = await model.applyChatTemplate([{ role: 'user', content: input.text }], { addGenerationPrompt: true });
  // A template writes its own special tokens, BOS included.
  return model.tokenize(text, { special: true, bos: false });
}

async function generate(model: Model, { input, maxTokens, sampling }: GenerateJob, emit: (event: JobEvent) => void): Promise<GenerateReport> {
  const prompt = await promptIds(model, input);
  const session = await model.createSession();
  const tokens = session.generate({ promptIds: prompt, sampling, ...(maxTokens === undefined ? {} : { maxTokens }) });
  let text = '';
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ids: next.value.ids, text, promptIds: prompt, stats: next.value.stats, adapter: model.info.adapter };
    text += next.value.text;
    emit({ kind: 'text', text: next.value.text });
  }
}

async function evaluate(model: Model, { input, chunk }: EvalJob, { deliver }: JobEnvironment): Promise<EvalReport> {
  const prompt = await promptIds(model, input);
  const tensors = await model.evaluate(prompt, chunk === undefined ? {} : { chunk });
  await deliver(encodeSafetensors(tensors));
  return { tensors: Object.keys(tensors), tokens: prompt.length };
}

async function bench(model: Model, { promptTokens, genTokens, runs }: BenchJob, loadMs: number, emit: (event: JobEvent) => void): Promise<BenchReport> {
  const { spec, fileBytes, adapter, contextLength } = model.info;
  // Any ids do; a fixed walk over the vocabulary keeps runs alike while each prompt's start differs, so that no
  // run finds its prefix in the cache.
  const prompt = (run: number) => Array.from({ length: Math.min(promptTokens, contextLength - 1) }, (_, i) => (run * 7919 + i * 104729 + 1) % spec.vocabSize);
  const session = await model.createSession();
  const stats: GenerateReport['stats'][] = [];
  for (let run = 0; run <= runs; run++) {
    const tokens = session.generate({ promptIds: prompt(run), maxTokens: genTokens, stopIds: [] });
    let next = await tokens.next();
    while (!next.done) next = await tokens.next();
    // The first run warms caches and clocks up.
    if (run > 0) stats.push(next.value.stats);
    emit({ kind: 'progress', message: `run ${run} of ${runs}` });
  }
  return { model: spec.name, fileBytes, promptTokens, genTokens, loadMs, runs: stats, adapter };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
