import { expect, test } from 'vitest';
import { ServedModel } from '../../src/client/model.ts';
import { FakeService, ids } from './fake-service.ts';

test('a whole completion has the shape of OpenAI', async () => {
  const service = new FakeService([' there', ' was']);
  const model = await ServedModel.of(service);
  expect(await model.completions.create({ prompt: 'Once', temperature: 0 })).toEqual({
    id: expect.stringMatching(/^cmpl-/),
    object: 'text_completion',
    created: expect.any(Number),
    model: 'fake-moe',
    choices: [{ index: 0, text: ' there was', logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6, prompt_tokens_details: { cached_tokens: 0 } },
  });
  expect(service.requests).toEqual([{ promptIds: ids('Once'), sampling: { temperature: 0 }, maxTokens: 16 }]);
});

test('ids are the whole prompt', async () => {
  const service = new FakeService(['x']);
  const model = await ServedModel.of(service);
  await model.completions.create({ prompt: [5, 6, 7], max_tokens: 1 });
  expect(service.requests[0]?.promptIds).toEqual([5, 6, 7]);
});

test('log-probabilities lie beside their tokens and places', async () => {
  const model = await ServedModel.of(new FakeService(['ab', 'c', 'd']));
  const { choices } = await model.completions.create({ prompt: 'x', logprobs: 2, max_tokens: 2 });
  expect(choices[0]?.logprobs).toEqual({
    tokens: ['ab', 'c'],
    token_logprobs: [-1 / 8, -2 / 8],
    top_logprobs: [{ ab: -0.5, c: -1.5 }, { c: -0.5, d: -1.5 }],
    text_offset: [0, 2],
  });
});

test('a stream gives text, the reason, the usage', async () => {
  const model = await ServedModel.of(new FakeService(['a', 'b', 'c']));
  const seen: unknown[] = [];
  for await (const { object, choices, usage } of await model.completions.create({ prompt: 'x', stream: true, max_tokens: 2, stream_options: { include_usage: true } })) {
    expect(object).toBe('text_completion');
    seen.push([choices[0]?.text, choices[0]?.finish_reason, usage?.total_tokens]);
  }
  expect(seen).toEqual([
    ['a', null, undefined],
    ['b', null, undefined],
    ['', 'length', undefined],
    [undefined, undefined, 3],
  ]);
});
