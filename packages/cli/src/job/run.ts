import type { GenerateRequest, GenerateResult, LoadOptions, Model, Session, TokenEvent } from '@gatefold/runtime';
import { measureProfile } from '../profile/measure.ts';
import { doctor } from './doctor.ts';
import { benchPrompt } from './prompt.ts';
import { meshReport, noteState, openRoom, serveRoom } from './room.ts';
import { encodeSafetensors } from './safetensors.ts';
import type { BenchJob, BenchReport, EvalJob, EvalReport, GenerateJob, GenerateReport, Job, JobEnvironment, JobReport, ProfileJob, PromptInput, Reports } from './types.ts';

/** Runs a job with the engine of wherever this code runs: a page in Chromium, or Node. Throws as the engine does, and the signal's reason. */
export async function runJob(job: Job, environment: JobEnvironment): Promise<JobReport> {
  if (job.command === 'doctor') return doctor(environment.gpu());
  if (job.command === 'profile') return profile(job, environment);
  const started = performance.now();
  const model = await environment.load(job.model, loadOptions(job, environment));
  const loadMs = performance.now() - started;
  try {
    if (job.command === 'generate') return await generate(model, job, environment);
    if (job.command === 'join') return await serveRoom(model, job);
    if (job.command === 'eval') return await evaluate(model, job, environment);
    return await bench(model, job, loadMs, environment);
  } finally {
    await model.dispose();
  }
}

async function profile(job: ProfileJob, environment: JobEnvironment): Promise<Reports['profile']> {
  const { emit, signal } = environment;
  let model = '';
  const open = async (sizes: LoadOptions) => {
    const service = await environment.open(job.model, { ...loadOptions(job, environment), ...sizes });
    model = service.modelInfo.spec.name;
    return service;
  };
  const report = await measureProfile(job, open, (message) => {
    signal?.throwIfAborted();
    emit({ kind: 'progress', message });
  });
  return { ...report, model };
}

function loadOptions({ contextLength, bareKernels, precision, maxBindingBytes, prefillChunk, gpuBudget, hostBudget }: Exclude<Job, { command: 'doctor' }>, { emit, signal }: JobEnvironment): LoadOptions {
  return {
    store: 'none',
    ...(contextLength === undefined ? {} : { contextLength }),
    ...(bareKernels === undefined ? {} : { bareKernels }),
    ...(precision === undefined ? {} : { precision }),
    ...(maxBindingBytes === undefined ? {} : { maxBindingBytes }),
    ...(prefillChunk === undefined ? {} : { prefillChunk }),
    ...(gpuBudget === undefined ? {} : { gpuBudget }),
    ...(hostBudget === undefined ? {} : { hostBudget }),
    ...(signal ? { signal } : {}),
    onWarning: ({ message }) => emit({ kind: 'warning', message }),
    onProgress: ({ phase, bytes, bytesTotal }) => emit({ kind: 'progress', message: `${phase} ${megabytes(bytes)} of ${megabytes(bytesTotal)} MB` }),
  };
}

async function promptIds(model: Model, input: PromptInput): Promise<number[]> {
  if (input.kind === 'ids') return [...input.ids];
  if (input.kind === 'prompt') return model.tokenize(input.text);
  const text = await model.applyChatTemplate([{ role: 'user', content: input.text }]);
  // A template writes its own special tokens, BOS included.
  return model.tokenize(text, { special: true, bos: false });
}

async function generate(model: Model, { input, maxTokens, sampling, room: given }: GenerateJob, { emit, signal }: JobEnvironment): Promise<GenerateReport> {
  const prompt = await promptIds(model, input);
  const room = given && (await openRoom(model, given, emit));
  const session = await model.createSession();
  let text = '';
  const onText = (piece: string) => {
    if (piece === '') return;
    text += piece;
    emit({ kind: 'text', text: piece });
  };
  const routes: TokenEvent['experts'][] = [];
  let isRevised = false;
  const onToken = (token: TokenEvent) => {
    onText(token.text);
    // In a room a token may take the place of earlier ones.
    const index = token.position - prompt.length;
    isRevised ||= index < routes.length;
    routes.length = Math.min(routes.length, index);
    routes.push(token.experts);
    if (!room) return;
    emit({ kind: 'token', count: routes.length });
    void noteState(room);
  };
  const { ids, textEnd, stats } = await toTheEnd(session, { promptIds: prompt, maxTokens, sampling }, signal, onToken);
  onText(textEnd);
  if (isRevised) text = await model.detokenize(ids);
  const experts = model.info.spec.layers.flatMap(({ ffn }) => (ffn.kind === 'moe' ? [ffn.experts] : []));
  const mesh = room && stats.mesh && { mesh: meshReport(room, stats.mesh, routes) };
  room?.handle.close();
  return { ids, trace: { experts, tokens: routes }, text, promptIds: prompt, stats, adapter: model.info.adapter, ...mesh };
}

async function evaluate(model: Model, { input, chunk }: EvalJob, { deliver }: JobEnvironment): Promise<EvalReport> {
  const prompt = await promptIds(model, input);
  const tensors = await model.evaluate(prompt, chunk === undefined ? {} : { chunk });
  await deliver(encodeSafetensors(tensors));
  return { tensors: Object.keys(tensors), tokens: prompt.length };
}

async function bench(model: Model, { promptTokens, genTokens, runs }: BenchJob, loadMs: number, { emit, signal }: JobEnvironment): Promise<BenchReport> {
  const { spec, fileBytes, adapter, contextLength } = model.info;
  const generated = Math.min(genTokens, Math.max(contextLength >> 1, contextLength - promptTokens));
  const prompted = Math.min(promptTokens, contextLength - generated);
  if (generated < genTokens || prompted < promptTokens) {
    emit({ kind: 'warning', message: `The context holds ${contextLength} tokens, so the runs are of ${prompted} prompt tokens and ${generated} generated ones. More with --context.` });
  }
  const session = await model.createSession();
  const stats: GenerateReport['stats'][] = [];
  for (let run = 0; run <= runs; run++) {
    emit({ kind: 'progress', message: run === 0 ? 'warming up' : `run ${run} of ${runs}` });
    const result = await toTheEnd(session, { promptIds: benchPrompt(run, prompted, spec.vocabSize), maxTokens: generated, stopIds: [] }, signal);
    // The first run warms caches and clocks up.
    if (run > 0) stats.push(result.stats);
  }
  return { model: spec.name, fileBytes, promptTokens: prompted, genTokens: generated, loadMs, runs: stats, adapter };
}

/** Throws the signal's reason where it ends the generation. */
async function toTheEnd(session: Session, request: GenerateRequest, signal: AbortSignal | undefined, onToken: (token: TokenEvent) => void = () => {}): Promise<GenerateResult> {
  const tokens = session.generate(request, signal ? { signal } : {});
  for (;;) {
    const next = await tokens.next();
    if (next.done) {
      signal?.throwIfAborted();
      return next.value;
    }
    onToken(next.value);
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
