import { expect, test, vi } from 'vitest';
import type { GenerateEvent, GenerateHandlers, GenerateRequest, ModelInfo } from '../../src/api/types.ts';
import { DeviceLostError, DisposedError, SessionBusyError } from '../../src/engine/errors.ts';
import type { LoadedModel } from '../../src/engine/loaded-model.ts';
import type { GenerateOutcome } from '../../src/engine/session.ts';
import { UnsupportedTokenizerError } from '../../src/model/tokenizer/errors.ts';
import { Lifeline } from '../../src/port/lifeline.ts';
import type { SharingReader } from '../../src/shards/shard.ts';
import { LocalModelService } from '../../src/worker/service.ts';
import { ModelText } from '../../src/worker/text.ts';

const reader = {
  plan: { modelId: 'm', shards: [] },
  stats: { bytesFetched: 12, shardsFetched: 3, bytesFromStore: 0, shardsFromStore: 0 },
} as unknown as SharingReader;

/** A tokeniser of characters in pairs: every second id completes the text of two. */
function pairStream() {
  let held: number[] = [];
  return {
    push(id: number): string {
      held.push(id);
      return held.length === 2 ? String.fromCharCode(...held.splice(0)) : '';
    },
    end(): string {
      const rest = String.fromCharCode(...held);
      held = [];
      return rest;
    },
  };
}

const tokenizer = {
  eosIds: [7],
  encode: (text: string) => Array.from(text, (character) => character.charCodeAt(0)),
  decode: (ids: readonly number[]) => String.fromCharCode(...ids),
  createStream: pairStream,
};

/** A session that emits the prompt's ids back, one a turn, until it is aborted. */
function fakeSession(log: string[], endless: boolean) {
  return {
    async generate({ promptIds, stopIds }: GenerateRequest, handlers: GenerateHandlers, signal?: AbortSignal): Promise<GenerateOutcome> {
      log.push(`generate ${String(stopIds)}`);
      handlers.onPrefill?.({ tokens: promptIds.length, tokensTotal: promptIds.length });
      const ids: number[] = [];
      while (!signal?.aborted && (endless || ids.length < promptIds.length)) {
        await new Promise((turn) => setTimeout(turn));
        const id = promptIds[ids.length % promptIds.length] ?? 0;
        handlers.onToken?.({ id, text: '', position: promptIds.length + ids.length, experts: [] });
        ids.push(id);
      }
      log.push('end');
      return { ids, finishReason: signal?.aborted ? 'aborted' : 'length', reusedTokens: 1, prefillMs: 2, decodeMs: 4, counts: { tokens: 3, dispatches: 30, submits: 3, readbacks: 3, expertLoads: 0, expertBytes: 0 } };
    },
  };
}

function serviceOf({ endless = false, known = true } = {}) {
  const log: string[] = [];
  const lifeline = new Lifeline();
  const model = {
    spec: { layers: [{ ffn: { kind: 'moe', topK: 2 } }, { ffn: { kind: 'moe', topK: 3 } }] },
    memory: { device: { destroy: () => log.push('device destroyed') } },
    createSession: async () => fakeSession(log, endless),
    disposeSession: () => log.push('session disposed'),
    memoryUse: () => ({ gpuBytes: 99, gpuBuffers: 1, weightBytes: 1, kvBytes: 1 }),
    evaluate: async () => ({}),
    dispose: () => log.push('model disposed'),
  } as unknown as LoadedModel;
  const text = new ModelText(new Map(), known ? tokenizer : new UnsupportedTokenizerError('strange', ['gpt2']));
  const service = new LocalModelService(model, lifeline, reader, text, { eosIds: [7] } as unknown as ModelInfo);
  return { service, log, lifeline };
}

test('tokens carry the text that they complete, the result the rest; stats are put together', async () => {
  const { service, log } = serviceOf();
  const session = await service.createSession();
  const events: GenerateEvent[] = [];
  const result = await service.generate(session, { promptIds: [97, 98, 99] }, (batch) => void events.push(...batch));
  expect(events.map((event) => ('token' in event ? event.token.text : event.prefill.tokens))).toEqual([3, '', 'ab', '']);
  expect(result).toMatchObject({ ids: [97, 98, 99], finishReason: 'length', textEnd: 'c' });
  expect(result.stats).toMatchObject({ promptTokens: 3, reusedTokens: 1, generatedTokens: 3, dispatchesPerToken: 10, bytesFetched: 12, gpuBytes: 99, expertHits: 20 });
  // The model's own ids end an answer, unless the request has others.
  await service.generate(session, { promptIds: [97], stopIds: [] }, () => {});
  expect(log).toEqual(['generate 7', 'end', 'generate ', 'end']);
});

test('one generation a session at a time, several sessions at once', async () => {
  const { service } = serviceOf();
  const [first, second] = [await service.createSession(), await service.createSession()];
  const running = [first, second].map((session) => service.generate(session, { promptIds: [97, 98] }, () => {}));
  await expect(service.generate(first, { promptIds: [97] }, () => {})).rejects.toBeInstanceOf(SessionBusyError);
  expect((await Promise.all(running)).map(({ ids }) => ids)).toEqual([[97, 98], [97, 98]]);
  await service.generate(first, { promptIds: [97] }, () => {});
});

test('abort ends a generation with what there is, and only that one', async () => {
  const { service } = serviceOf({ endless: true });
  const session = await service.createSession();
  const first = service.generate(session, { promptIds: [97] }, () => {});
  await service.abort(session);
  expect(await first).toMatchObject({ finishReason: 'aborted' });
  const second = service.generate(session, { promptIds: [97] }, ([event]) => {
    if (event && 'token' in event) void service.abort(session);
  });
  expect((await second).ids.length).toBeGreaterThan(0);
});

test('disposing a session waits for its generation to end', async () => {
  const { service, log } = serviceOf({ endless: true });
  const session = await service.createSession();
  const running = service.generate(session, { promptIds: [97] }, () => {});
  await service.disposeSession(session);
  expect(log).toEqual(['generate 7', 'end', 'session disposed']);
  expect(await running).toMatchObject({ finishReason: 'aborted' });
  await expect(service.generate(session, { promptIds: [97] }, () => {})).rejects.toMatchObject({ name: 'DisposedError', what: 'session' });
});

test('disposing the model ends what runs, then frees the model and its device, once', async () => {
  const { service, log } = serviceOf({ endless: true });
  const session = await service.createSession();
  const running = service.generate(session, { promptIds: [97] }, () => {});
  await service.dispose();
  await service.dispose();
  expect(await running).toMatchObject({ finishReason: 'aborted' });
  expect(log).toEqual(['generate 7', 'end', 'model disposed', 'device destroyed']);
  for (const call of [() => service.createSession(), () => service.tokenize('a'), () => service.memory(), () => service.evaluate([1]), () => service.generate(session, { promptIds: [97] }, () => {})]) {
    await expect(call()).rejects.toBeInstanceOf(DisposedError);
  }
});

test('a lost device rejects what runs and what comes later, and dispose still works', async () => {
  const { service, log, lifeline } = serviceOf({ endless: true });
  const session = await service.createSession();
  const running = service.generate(session, { promptIds: [97] }, () => {});
  lifeline.cut(new DeviceLostError('driver reset'));
  await expect(running).rejects.toMatchObject({ name: 'DeviceLostError', reason: 'driver reset' });
  await expect(service.generate(session, { promptIds: [97] }, () => {})).rejects.toBeInstanceOf(DeviceLostError);
  await expect(service.createSession()).rejects.toBeInstanceOf(DeviceLostError);
  await service.dispose();
  expect(log).toContain('device destroyed');
});

test('a receiver that throws ends the generation by its error, and the session is free again', async () => {
  const { service } = serviceOf({ endless: true });
  const session = await service.createSession();
  const receiver = vi.fn(() => Promise.reject(new Error('the page is wrong')));
  await expect(service.generate(session, { promptIds: [97] }, receiver)).rejects.toThrow('the page is wrong');
  await service.disposeSession(session);
});

test('without a tokeniser ids work, and text is refused by name', async () => {
  const { service } = serviceOf({ known: false });
  const session = await service.createSession();
  expect(await service.generate(session, { promptIds: [97] }, () => {})).toMatchObject({ ids: [97], textEnd: '' });
  await expect(service.tokenize('a')).rejects.toMatchObject({ name: 'UnsupportedTokenizerError', kind: 'strange' });
  await expect(service.tokenTexts([1])).rejects.toMatchObject({ code: 'unsupported-tokenizer' });
});
