import { expect, test } from 'vitest';
import { chatSettings } from '../../src/api/chat-request.ts';
import { completionSettings } from '../../src/api/completion-request.ts';

const messages = [{ role: 'user', content: 'Hi' }];

test('a chat request gets OpenAI defaults', () => {
  expect(chatSettings({ messages })).toEqual({
    messages,
    sampling: { temperature: 1 },
    stops: [],
    maxTokens: undefined,
    topLogprobs: undefined,
    stream: false,
    includeUsage: false,
  });
});

test('all settings of a chat request', () => {
  const settings = chatSettings({
    model: 'any',
    user: 'me',
    messages: [{ role: 'user', name: 'Ann', content: [{ type: 'text', text: 'a' }, { type: 'text', text: 'b' }] }, { role: 'assistant', content: 'c', refusal: null }],
    max_completion_tokens: 5,
    max_tokens: 6,
    temperature: 0,
    top_p: 0.5,
    top_k: 3,
    min_p: 0.1,
    repeat_penalty: 1.1,
    seed: 42,
    stop: ['x', 'y'],
    logprobs: true,
    top_logprobs: 2,
    n: 1,
    presence_penalty: 0,
    stream: true,
    stream_options: { include_usage: true },
  });
  expect(settings).toEqual({
    messages: [{ role: 'user', content: 'ab' }, { role: 'assistant', content: 'c' }],
    sampling: { temperature: 0, topP: 0.5, topK: 3, minP: 0.1, repeatPenalty: 1.1, seed: 42 },
    stops: ['x', 'y'],
    maxTokens: 5,
    topLogprobs: 2,
    stream: true,
    includeUsage: true,
  });
});

test('null is as good as not given', () => {
  const nothing = Object.fromEntries(['temperature', 'top_p', 'seed', 'stop', 'max_tokens', 'stream', 'stream_options', 'logprobs', 'top_logprobs', 'n'].map((field) => [field, null]));
  expect(chatSettings({ messages, ...nothing, tools: null })).toEqual(chatSettings({ messages }));
});

test('a completion request: defaults, one stop, ids', () => {
  expect(completionSettings({ prompt: 'x', stop: '.', logprobs: 0 })).toMatchObject({ prompt: 'x', stops: ['.'], maxTokens: 16, topLogprobs: 0 });
  expect(completionSettings({ prompt: [1, 2] }).prompt).toEqual([1, 2]);
});

const chat = (fields: object) => () => chatSettings({ messages, ...fields });
const completion = (fields: object) => () => completionSettings({ prompt: 'x', ...fields });

test.each([
  ['temperature', chat({ temperature: -0.1 })],
  ['temperature', chat({ temperature: '1' })],
  ['temperature', chat({ temperature: NaN })],
  ['top_p', chat({ top_p: 1.1 })],
  ['top_k', chat({ top_k: 1.5 })],
  ['seed', chat({ seed: 0.5 })],
  ['max_tokens', chat({ max_tokens: 0 })],
  ['max_completion_tokens', chat({ max_completion_tokens: 1.5 })],
  ['stop', chat({ stop: '' })],
  ['stop', chat({ stop: ['a', 1] })],
  ['stop', chat({ stop: Array.from({ length: 17 }, String) })],
  ['stream', chat({ stream: 'yes' })],
  ['stream_options', chat({ stream_options: { include_usage: true } })],
  ['stream_options.bogus', chat({ stream: true, stream_options: { bogus: 1 } })],
  ['top_logprobs', chat({ top_logprobs: 2 })],
  ['top_logprobs', chat({ logprobs: true, top_logprobs: 21 })],
  ['n', chat({ n: 2 })],
  ['presence_penalty', chat({ presence_penalty: 0.5 })],
  ['tools', chat({ tools: [] })],
  ['maxTokens', chat({ maxTokens: 3 })],
  ['messages', chat({ messages: [] })],
  ['messages', chat({ messages: 'Hi' })],
  ['messages[0]', chat({ messages: ['Hi'] })],
  ['messages[0].role', chat({ messages: [{ content: 'Hi' }] })],
  ['messages[1].content', chat({ messages: [...messages, { role: 'assistant', content: null }] })],
  ['messages[0].content[1]', chat({ messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'image_url' }] }] })],
  ['messages[0].content[0]', chat({ messages: [{ role: 'user', content: [null] }] })],
  ['messages[0].tool_calls', chat({ messages: [{ role: 'user', content: 'a', tool_calls: [] }] })],
  ['prompt', completion({ prompt: undefined })],
  ['prompt', completion({ prompt: ['a'] })],
  ['logprobs', completion({ logprobs: true })],
  ['logprobs', completion({ logprobs: 6 })],
  ['echo', completion({ echo: true })],
  ['messages', completion({ messages })],
  ['the request', () => chatSettings(null)],
])('%s is refused by name (%#)', (field, request) => {
  expect(request).toThrow(expect.objectContaining({ name: 'RequestError', code: 'bad-request', field, message: expect.stringContaining(field) }));
});
