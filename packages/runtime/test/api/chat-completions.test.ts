import { describe, expect, test } from 'vitest';
import { ServedModel } from '../../src/client/model.ts';
import type { ChatCompletionChunk } from '../../src/api/openai.ts';
import type { Deliver, GenerateEvent, GenerateRequest, GenerateResult } from '../../src/api/types.ts';
import { NanLogitsError } from '../../src/engine/errors.ts';
import { FakeService, gate, ids } from './fake-service.ts';

const messages = [{ role: 'user', content: 'Hi' }];

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const textOf = (chunks: readonly ChatCompletionChunk[]) => chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');

describe('a whole answer', () => {
  test('has the shape of OpenAI', async () => {
    const model = await ServedModel.of(new FakeService(['Hello', ' you', '!']));
    const before = Math.floor(Date.now() / 1000);
    const answer = await model.chat.completions.create({ messages, temperature: 0 });
    expect(answer).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'fake-moe',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello you!', refusal: null }, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 8, completion_tokens: 3, total_tokens: 11, prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(answer.created).toBeGreaterThanOrEqual(before);
  });

  test('hands settings and the rendered chat to the session', async () => {
    const service = new FakeService(['a']);
    const model = await ServedModel.of(service);
    await model.chat.completions.create({ messages, temperature: 0.5, top_p: 0.9, seed: 7, max_tokens: 4 });
    expect(service.requests).toEqual([{ promptIds: ids('user:Hi|'), sampling: { temperature: 0.5, topP: 0.9, seed: 7 }, maxTokens: 4 }]);
  });

  test('ends at max_tokens with reason length', async () => {
    const model = await ServedModel.of(new FakeService(['a', 'b', 'c']));
    const { choices, usage } = await model.chat.completions.create({ messages, max_tokens: 2 });
    expect(choices[0]).toMatchObject({ message: { content: 'ab' }, finish_reason: 'length' });
    expect(usage.completion_tokens).toBe(2);
  });

  test('ends before a stop string that is split over tokens, and generates no further', async () => {
    const service = new FakeService(['one', ' E', 'N', 'D two', ' three', ' four']);
    const model = await ServedModel.of(service);
    const { choices, usage } = await model.chat.completions.create({ messages, stop: ['END', 'nothing'] });
    expect(choices[0]).toMatchObject({ message: { content: 'one ' }, finish_reason: 'stop' });
    expect(usage.completion_tokens).toBe(4);
    expect([...service.sessions.values()]).toMatchObject([{ running: false, aborted: true }]);
  });

  test('has text that the tokeniser held back, looked through for stops too', async () => {
    const model = await ServedModel.of(new FakeService(['a', ''], '\uFFFD'));
    expect((await model.chat.completions.create({ messages })).choices[0].message.content).toBe('a\uFFFD');
    expect((await model.chat.completions.create({ messages, stop: '\uFFFD' })).choices[0].message.content).toBe('a');
  });

  test('log-probabilities of the tokens that are in the answer', async () => {
    const model = await ServedModel.of(new FakeService(['a', 'é', ' <', '|', 'b']));
    const { choices } = await model.chat.completions.create({ messages, logprobs: true, top_logprobs: 2, stop: '<|' });
    expect(choices[0].message.content).toBe('aé ');
    expect(choices[0].logprobs).toEqual({
      refusal: null,
      content: [
        { token: 'a', logprob: -1 / 8, bytes: [97], top_logprobs: [{ token: 'a', logprob: -0.5, bytes: [97] }, { token: 'é', logprob: -1.5, bytes: [195, 169] }] },
        { token: 'é', logprob: -2 / 8, bytes: [195, 169], top_logprobs: [{ token: 'é', logprob: -0.5, bytes: [195, 169] }, { token: ' <', logprob: -1.5, bytes: [32, 60] }] },
        { token: ' <', logprob: -3 / 8, bytes: [32, 60], top_logprobs: [{ token: ' <', logprob: -0.5, bytes: [32, 60] }, { token: '|', logprob: -1.5, bytes: [124] }] },
      ],
    });
  });

  test('tokens of half a character have log-probabilities, but no bytes', async () => {
    const service = new FakeService(['', 'é']);
    service.tokenTexts = async (list) => list.map(() => '\uFFFD');
    const model = await ServedModel.of(service);
    const { choices } = await model.chat.completions.create({ messages, logprobs: true });
    expect(choices[0].logprobs?.content.map(({ bytes, logprob }) => [bytes, logprob])).toEqual([[null, -1 / 8], [null, -2 / 8]]);
  });
});

describe('a stream', () => {
  test('begins with the role, ends with the reason, and then the usage where asked for', async () => {
    const model = await ServedModel.of(new FakeService(['Hello', '', ' you']));
    const chunks = await all(await model.chat.completions.create({ messages, stream: true, stream_options: { include_usage: true } }));
    const [first] = chunks;
    const head = { id: first?.id, object: 'chat.completion.chunk', created: first?.created, model: 'fake-moe' };
    const chunk = (delta: object, finish_reason: string | null = null) => ({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason }], usage: null });
    expect(chunks).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Hello' }),
      chunk({ content: ' you' }),
      chunk({}, 'stop'),
      { ...head, choices: [], usage: { prompt_tokens: 8, completion_tokens: 3, total_tokens: 11, prompt_tokens_details: { cached_tokens: 0 } } },
    ]);
  });

  test('has no usage where nobody asked', async () => {
    const model = await ServedModel.of(new FakeService(['a']));
    const chunks = await all(await model.chat.completions.create({ messages, stream: true }));
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
  });

  test('holds back what may become a stop', async () => {
    const model = await ServedModel.of(new FakeService(['one\n', 'two\n', '\n', 'three']));
    const chunks = await all(await model.chat.completions.create({ messages, stream: true, stop: '\n\n' }));
    expect(chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content))).toEqual(['', 'one', '\ntwo', undefined]);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });

  test('carries each log-probability with the text that it belongs to', async () => {
    const model = await ServedModel.of(new FakeService(['a', '\n', 'b']));
    const chunks = await all(await model.chat.completions.create({ messages, stream: true, logprobs: true, stop: '\n\n' }));
    const seen = chunks.flatMap(({ choices }) => choices.map(({ delta, logprobs }) => [delta.content, logprobs?.content.map(({ token }) => token)]));
    expect(seen).toEqual([['', undefined], ['a', ['a']], ['\nb', ['\n', 'b']], [undefined, undefined]]);
  });

  test('left early, ends the generation and frees the session', async () => {
    const service = new FakeService(['a', 'b', 'c', 'd']);
    const model = await ServedModel.of(service);
    let text = '';
    for await (const { choices } of await model.chat.completions.create({ messages, stream: true })) {
      text += choices[0]?.delta.content ?? '';
      if (text === 'ab') break;
    }
    expect([...service.sessions.values()]).toMatchObject([{ running: false, aborted: true }]);
    expect((await model.chat.completions.create({ messages })).choices[0].message.content).toBe('abcd');
    expect(service.sessions.size).toBe(1);
  });
});

describe('signals and failures', () => {
  test('a signal ends an answer with its reason', async () => {
    const service = new FakeService(['a', 'b']);
    const { step, open, waiting } = gate();
    service.step = step;
    const model = await ServedModel.of(service);
    const control = new AbortController();
    const answer = model.chat.completions.create({ messages }, { signal: control.signal });
    answer.catch(() => {});
    while (waiting() === 0) await new Promise((turn) => setTimeout(turn));
    control.abort(new Error('enough'));
    open();
    await expect(answer).rejects.toThrow('enough');
    await expect(model.chat.completions.create({ messages }, { signal: control.signal })).rejects.toThrow('enough');
    expect((await model.chat.completions.create({ messages })).choices[0].message.content).toBe('ab');
    expect(service.sessions.size).toBe(1);
  });

  test('a failed session is not used again', async () => {
    const service = new FakeService(['a']);
    const model = await ServedModel.of(service);
    service.failure = new NanLogitsError(3);
    await expect(model.chat.completions.create({ messages })).rejects.toBe(service.failure);
    expect(service.sessions.size).toBe(0);
    service.failure = undefined;
    expect((await model.chat.completions.create({ messages })).choices[0].message.content).toBe('a');
    expect([...service.sessions.keys()]).toEqual([2]);
  });
});

describe('sessions', () => {
  test('the next turn finds the last in its cache', async () => {
    const service = new FakeService(['Hello']);
    const model = await ServedModel.of(service);
    await model.chat.completions.create({ messages });
    const { usage } = await model.chat.completions.create({ messages: [...messages, { role: 'assistant', content: 'Hello' }, { role: 'user', content: 'More' }] });
    expect(usage.prompt_tokens_details.cached_tokens).toBe('user:Hi|'.length);
    expect(service.sessions.size).toBe(1);
  });

  test('concurrent requests get sessions of their own, at most four, and only the first stays', async () => {
    const service = new FakeService(['a', 'b']);
    const { step, open, waiting } = gate();
    service.step = step;
    const model = await ServedModel.of(service);
    const answers = Array.from({ length: 6 }, (_, i) => model.chat.completions.create({ messages: [{ role: 'user', content: `${i}` }] }));
    while (waiting() < 4) await new Promise((turn) => setTimeout(turn));
    expect(service.sessions.size).toBe(4);
    open();
    const texts = await Promise.all(answers);
    expect(texts.map(({ choices }) => choices[0].message.content)).toEqual(Array.from({ length: 6 }, () => 'ab'));
    expect([...service.sessions.keys()]).toEqual([1]);
  });

  test('a request that waits for a session can be aborted', async () => {
    const service = new FakeService(['a']);
    const { step, open, waiting } = gate();
    service.step = step;
    const model = await ServedModel.of(service);
    const answers = Array.from({ length: 4 }, () => model.chat.completions.create({ messages }));
    while (waiting() < 4) await new Promise((turn) => setTimeout(turn));
    const control = new AbortController();
    const late = model.completions.create({ prompt: 'x' }, { signal: control.signal });
    await new Promise((turn) => setTimeout(turn));
    control.abort(new Error('too late'));
    await expect(late).rejects.toThrow('too late');
    open();
    await Promise.all(answers);
    expect((await model.completions.create({ prompt: 'x' })).choices[0]?.text).toBe('a');
    expect(service.requests).toHaveLength(5);
  });
});

test('all chunks of a stream are the whole answer', async () => {
  const model = await ServedModel.of(new FakeService(['The ', 'quick', '', ' fox', '.']));
  const whole = await model.chat.completions.create({ messages });
  const chunks = await all(await model.chat.completions.create({ messages, stream: true }));
  expect(textOf(chunks)).toBe(whole.choices[0].message.content);
});

/** Its first answer goes back at its second token, as in a room where a peer was found out. */
class RevisingService extends FakeService {
  #revises = true;

  override generate(id: number, request: GenerateRequest, deliver: Deliver<GenerateEvent>): Promise<GenerateResult> {
    const revises = this.#revises;
    this.#revises = false;
    const back = (event: GenerateEvent) => ('token' in event && event.token.text === 'b' && revises ? { token: { ...event.token, position: 0 } } : event);
    return super.generate(id, request, (events) => deliver(events.map(back)));
  }
}

describe('an answer that goes back', () => {
  test('begins again where it is not streamed', async () => {
    const service = new RevisingService(['a', 'b', 'c']);
    const model = await ServedModel.of(service);
    const { choices } = await model.chat.completions.create({ messages });
    expect(choices[0].message.content).toBe('abc');
    expect(service.requests).toHaveLength(2);
  });

  test('is a typed error where it is', async () => {
    const model = await ServedModel.of(new RevisingService(['a', 'b', 'c']));
    const read = async () => {
      let text = '';
      for await (const { choices } of await model.chat.completions.create({ messages, stream: true })) text += choices[0]?.delta.content ?? '';
      return text;
    };
    await expect(read()).rejects.toMatchObject({ code: 'answer-revised' });
    expect(await read()).toBe('abc');
  });
});
