import { afterEach, describe, expect, test, vi } from 'vitest';
import type { LoadOptions, ModelService, ProgressEvent, Warning } from '../../src/api/types.ts';
import { NoWorkerGpuError, WorkerError } from '../../src/client/errors.ts';
import { ServedModel } from '../../src/client/model.ts';
import { loadInWorker } from '../../src/client/worker-model.ts';
import { DeviceLostError, DisposedError, NoWebGpuError, SessionBusyError } from '../../src/engine/errors.ts';
import { LimitError } from '../../src/residency/errors.ts';
import { FakeService, gate } from '../api/fake-service.ts';
import { FakeWorker } from './fake-worker.ts';

const SOURCE = 'https://host.test/model.gguf';

const workers: FakeWorker[] = [];

function start(load?: (options: LoadOptions) => Promise<ModelService>): FakeWorker {
  const worker = new FakeWorker(load);
  workers.push(worker);
  return worker;
}

async function modelOf(service: ModelService) {
  const worker = start(async () => service);
  return { worker, model: await ServedModel.of(await loadInWorker(worker, SOURCE, {})) };
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  for (const worker of workers.splice(0)) worker.terminate();
});

const progress = (bytes: number): ProgressEvent => ({ phase: 'fetch', bytes, bytesTotal: 9, shards: 0, shardsTotal: 1, bytesFromStore: 0 });

describe('loading', () => {
  test('plain options, progress and warnings cross the port', async () => {
    let given: LoadOptions | undefined;
    const worker = start(async (options) => {
      given = options;
      for (let bytes = 0; bytes < 5; bytes++) options.onProgress?.(progress(bytes));
      options.onWarning?.({ code: 'no-range', message: 'slow server' });
      return new FakeService([]);
    });
    const events: (ProgressEvent | Warning)[] = [];
    const push = (event: ProgressEvent | Warning) => void events.push(event);
    await loadInWorker(worker, SOURCE, { contextLength: 64, store: 'none', onProgress: push, onWarning: push });
    expect(given).toMatchObject({ contextLength: 64, store: 'none' });
    expect(events).toEqual([...[0, 1, 2, 3, 4].map(progress), { code: 'no-range', message: 'slow server' }]);
  });

  test('warnings come as long as the model lives', async () => {
    let warn: (warning: Warning) => void = () => {};
    const worker = start(async ({ onWarning }) => {
      warn = onWarning ?? warn;
      return new FakeService([]);
    });
    const warned = new Promise<Warning>((onWarning) => void loadInWorker(worker, SOURCE, { onWarning }).then(() => warn({ code: 'other', message: 'later' })));
    expect(await warned).toEqual({ code: 'other', message: 'later' });
  });

  test('a failure is told as itself and ends the worker', async () => {
    const error = new LimitError('maxBufferSize', 2, 1, 'a tensor');
    const worker = start(() => Promise.reject(error));
    const failure: unknown = await loadInWorker(worker, SOURCE, {}).catch((reason: unknown) => reason);
    expect(failure).toBeInstanceOf(LimitError);
    expect(failure).toMatchObject({ limit: 'maxBufferSize', needed: 2, available: 1, message: error.message });
    expect(worker.isTerminated).toBe(true);
  });

  test('a callback that throws fails the load', async () => {
    const worker = start(async ({ onProgress }) => {
      onProgress?.(progress(1));
      return new FakeService([]);
    });
    const onProgress = () => {
      throw new Error('the page is wrong');
    };
    await expect(loadInWorker(worker, SOURCE, { onProgress })).rejects.toThrow('the page is wrong');
    expect(worker.isTerminated).toBe(true);
  });

  test('no WebGPU in the worker, but in the page', async () => {
    const load = () => loadInWorker(start(() => Promise.reject(new NoWebGpuError())), SOURCE, {});
    vi.stubGlobal('navigator', {});
    await expect(load()).rejects.toBeInstanceOf(NoWebGpuError);
    vi.stubGlobal('navigator', { gpu: {} });
    await expect(load()).rejects.toBeInstanceOf(NoWorkerGpuError);
  });

  test('a signal ends loading: the host is told, then the worker ends', async () => {
    const control = new AbortController();
    let ended = false;
    const worker = start(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => {
            ended = true;
            reject(signal.reason);
          });
          control.abort(new Error('changed my mind'));
        }),
    );
    await expect(loadInWorker(worker, SOURCE, { signal: control.signal })).rejects.toThrow('changed my mind');
    expect(ended).toBe(true);
    expect(worker.isTerminated).toBe(true);
  });

  test('a model that is loaded when the signal aborts is disposed of', async () => {
    const control = new AbortController();
    const service = new FakeService([]);
    const worker = start(async ({ onProgress }) => {
      onProgress?.(progress(1));
      return service;
    });
    await expect(loadInWorker(worker, SOURCE, { signal: control.signal, onProgress: () => control.abort(new Error('late')) })).rejects.toThrow('late');
    expect(service.disposed).toBe(true);
  });

  test('a worker that hangs is ended all the same', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const worker = start();
    const control = new AbortController();
    const load = loadInWorker(worker, SOURCE, { signal: control.signal });
    load.catch(() => {});
    control.abort(new Error('enough'));
    await vi.runAllTimersAsync();
    await expect(load).rejects.toThrow('enough');
    expect(worker.isTerminated).toBe(true);
  });
});

describe('a worker that dies', () => {
  test('while loading', async () => {
    const worker = start();
    const load = loadInWorker(worker, SOURCE, {});
    worker.die('');
    await expect(load).rejects.toMatchObject({ name: 'WorkerError', code: 'worker-failed', problem: 'its script could not be loaded' });
    expect(worker.isTerminated).toBe(true);
  });

  test('rejects everything that is pending, and what is asked later', async () => {
    const service = new FakeService(['a']);
    service.step = () => new Promise(() => {});
    const { worker, model } = await modelOf(service);
    const session = await model.createSession();
    const token = session.generate({ promptIds: [1] }).next();
    worker.die('out of memory');
    await expect(token).rejects.toBeInstanceOf(WorkerError);
    await expect(token).rejects.toThrow('out of memory');
    await expect(model.tokenize('a')).rejects.toBeInstanceOf(WorkerError);
    await model.dispose();
  });
});

describe('sessions', () => {
  test('tokens arrive in order, however they are batched, and the result after them', async () => {
    const answer = Array.from({ length: 500 }, (_, i) => `${i} `);
    const { model } = await modelOf(new FakeService(answer, 'end'));
    const session = await model.createSession();
    const prefill: number[] = [];
    const generation = session.generate({ promptIds: [1, 2] }, { onPrefill: ({ tokens }) => prefill.push(tokens) });
    const texts: string[] = [];
    let next = await generation.next();
    for (; !next.done; next = await generation.next()) texts.push(next.value.text);
    expect(texts).toEqual(answer);
    expect(prefill).toEqual([2]);
    expect(next.value).toMatchObject({ finishReason: 'stop', textEnd: 'end', stats: { promptTokens: 2, generatedTokens: 500 } });
  });

  test('a signal ends the generation with what there is', async () => {
    const service = new FakeService(['a', 'b', 'c']);
    const { step, open, waiting } = gate();
    service.step = step;
    const { model } = await modelOf(service);
    const session = await model.createSession();
    const control = new AbortController();
    const generation = session.generate({ promptIds: [1] }, { signal: control.signal });
    const first = generation.next();
    while (waiting() === 0) await new Promise((turn) => setTimeout(turn));
    control.abort();
    // Messages keep their order: once this is answered, the abort has arrived.
    await model.memory();
    open();
    expect(await first).toMatchObject({ done: true, value: { finishReason: 'aborted', ids: [] } });
  });

  test('an aborted signal generates nothing', async () => {
    const service = new FakeService(['a', 'b']);
    const { step, open, waiting } = gate();
    service.step = step;
    const { model } = await modelOf(service);
    const session = await model.createSession();
    const first = session.generate({ promptIds: [1] }, { signal: AbortSignal.abort() }).next();
    while (waiting() === 0) await new Promise((turn) => setTimeout(turn));
    await model.memory();
    open();
    expect(await first).toMatchObject({ done: true, value: { finishReason: 'aborted', ids: [] } });
  });

  test('leaving the loop aborts, and the session is free again', async () => {
    const service = new FakeService(['a', 'b', 'c']);
    const { model } = await modelOf(service);
    const session = await model.createSession();
    for await (const { text } of session.generate({ promptIds: [1] })) if (text === 'a') break;
    expect([...service.sessions.values()]).toMatchObject([{ running: false }]);
    const texts: string[] = [];
    for await (const { text } of session.generate({ promptIds: [1] })) texts.push(text);
    expect(texts).toEqual(['a', 'b', 'c']);
    await session.dispose();
    expect(service.sessions.size).toBe(0);
    await expect(session.generate({ promptIds: [1] }).next()).rejects.toBeInstanceOf(DisposedError);
  });

  test('one generation at a time', async () => {
    const service = new FakeService(['a']);
    const { step, open, waiting } = gate();
    service.step = step;
    const { model } = await modelOf(service);
    const session = await model.createSession();
    const first = session.generate({ promptIds: [1] }).next();
    while (waiting() === 0) await new Promise((turn) => setTimeout(turn));
    await expect(session.generate({ promptIds: [1] }).next()).rejects.toBeInstanceOf(SessionBusyError);
    open();
    expect(await first).toMatchObject({ value: { text: 'a' } });
  });

  test('tokens before a failure come first, then the failure as itself', async () => {
    const service = new FakeService(['a', 'b']);
    const { model } = await modelOf(service);
    const session = await model.createSession();
    let steps = 0;
    service.step = async () => {
      if (steps++ === 1) service.failure = new DeviceLostError('sleep');
    };
    const texts: string[] = [];
    const run = async () => {
      for await (const { text } of session.generate({ promptIds: [1] })) texts.push(text);
    };
    await expect(run()).rejects.toMatchObject({ name: 'DeviceLostError', reason: 'sleep', message: expect.stringContaining('Load the model again') });
    expect(texts).toEqual(['a']);
  });
});

test('dispose frees the model, then the worker; afterwards everything rejects', async () => {
  const service = new FakeService([]);
  const { worker, model } = await modelOf(service);
  await model.dispose();
  expect(service.disposed).toBe(true);
  expect(worker.isTerminated).toBe(true);
  await expect(model.tokenize('a')).rejects.toBeInstanceOf(DisposedError);
  await expect(model.chat.completions.create({ messages: [{ role: 'user', content: 'a' }] })).rejects.toBeInstanceOf(DisposedError);
  await model.dispose();
});

test('the API works through the port', async () => {
  const { model } = await modelOf(new FakeService(['Hello', ' you']));
  const { choices } = await model.chat.completions.create({ messages: [{ role: 'user', content: 'Hi' }], logprobs: true });
  expect(choices[0].message.content).toBe('Hello you');
  expect(choices[0].logprobs?.content.map(({ token }) => token)).toEqual(['Hello', ' you']);
});
