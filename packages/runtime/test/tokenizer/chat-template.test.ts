import { describe, expect, it } from 'vitest';
import type { GgufValue } from '../../src/model/gguf/types.ts';
import { renderChatTemplate } from '../../src/model/tokenizer/chat-template.ts';
import { ChatTemplateError } from '../../src/model/tokenizer/errors.ts';
import { smallMetadata } from './vectors.ts';

const MESSAGES = [
  { role: 'system', content: 'Be kind.' },
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello.' },
  { role: 'user', content: 'Bye' },
];

/** A model with this template, and tokens `<s>` and `</s>` for BOS and EOS. */
function withTemplate(template: string, changes: Readonly<Record<string, GgufValue>> = {}): ReadonlyMap<string, GgufValue> {
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', ['<unk>', '<s>', '</s>']],
    ['tokenizer.chat_template', template],
    ...Object.entries(changes),
  ]);
}

function render(template: string, options?: Parameters<typeof renderChatTemplate>[2]): string {
  return renderChatTemplate(withTemplate(template), MESSAGES, options);
}

function refusal(work: () => unknown): ChatTemplateError {
  try {
    work();
  } catch (error) {
    if (error instanceof ChatTemplateError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('templates of files', () => {
  it("a fixture's", async () => {
    const metadata = await smallMetadata('qwen2');
    const messages = [{ role: 'user', content: 'Hi' }];
    expect(renderChatTemplate(metadata, messages)).toBe('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
    expect(renderChatTemplate(metadata, messages, { addGenerationPrompt: false })).toBe('<|im_start|>user\nHi<|im_end|>\n');
  });

  it('with trimmed blocks, special tokens, and no tools', () => {
    const template = `
{{- bos_token }}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if tools is not none %}tools{% endif %}
{%- if documents %}documents{% endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'assistant') %}
        {{- ' ' + message['content'] | trim + eos_token }}
    {%- elif message.role != 'system' and loop.index0 > 0 %}
        {{- '[INST] ' ~ message.content ~ ' [/INST]' }}
    {%- endif %}
{%- endfor %}`;
    expect(render(template)).toBe('<s>[INST] Hi [/INST] Hello.</s>[INST] Bye [/INST]');
  });

  it('white space at the start is as written', () => {
    expect(render('\n  x')).toBe('\n  x');
    expect(render('  {% if true %}\nx{% endif %}\n')).toBe('x');
  });

  it('dates are English, whatever the reader speaks', () => {
    const now = new Date(2024, 6, 4, 15, 7, 9);
    const template = "{{ strftime_now('%d %b %Y|%Y-%m-%d|%A, %B %e, %y|%a %I:%M:%S %p|%H %% %Q') }}";
    expect(render(template, { now })).toBe('04 Jul 2024|2024-07-04|Thursday, July  4, 24|Thu 03:07:09 PM|15 % %Q');
    expect(render("{{ strftime_now('%I %p') }}", { now: new Date(2024, 0, 1) })).toBe('12 AM');
  });

  it('one of several, by name', () => {
    const metadata = withTemplate('main', { 'tokenizer.chat_template.tool_use': 'other' });
    expect(renderChatTemplate(metadata, MESSAGES)).toBe('main');
    expect(renderChatTemplate(metadata, MESSAGES, { name: 'tool_use' })).toBe('other');
    const error = refusal(() => renderChatTemplate(metadata, MESSAGES, { name: 'rag' }));
    expect(error).toMatchObject({ code: 'chat-template', template: 'tokenizer.chat_template.rag' });
  });

  it('one that refuses the messages', () => {
    const error = refusal(() => render("{{ raise_exception('Roles must alternate.') }}"));
    expect(error.reason).toBe('Roles must alternate.');
    expect(error.message).toContain('(tokenizer.chat_template) fails: Roles must alternate.');
    expect(error.cause).toBeInstanceOf(Error);
  });

  it.each(['{% for', '{{ 1 + }}', '{{ messages | nonsense }}', '{% endif %}', '{{ nothing() }}'])('one that is no template: %s', (template) => {
    expect(refusal(() => render(template)).reason).not.toBe('');
  });
});

describe('files without a template', () => {
  const without = (changes: Readonly<Record<string, GgufValue>>) => {
    const metadata = new Map(withTemplate('', changes));
    metadata.delete('tokenizer.chat_template');
    return metadata;
  };

  it('get ChatML where the vocabulary knows it', () => {
    const metadata = without({ 'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '<|im_start|>'], 'tokenizer.ggml.add_bos_token': false });
    expect(renderChatTemplate(metadata, MESSAGES.slice(0, 2))).toBe('<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
  });

  it('get plain text otherwise, after BOS where texts begin with it', () => {
    const metadata = without({});
    expect(renderChatTemplate(metadata, MESSAGES)).toBe('<s>Be kind.\n\nUser: Hi\nAssistant: Hello.\nUser: Bye\nAssistant:');
    expect(renderChatTemplate(metadata, MESSAGES.slice(1, 3), { addGenerationPrompt: false })).toBe('<s>User: Hi\nAssistant: Hello.\n');
  });
});
