import { Template } from '@huggingface/jinja';
import { ChatTemplateError } from './errors.ts';
import { strftime } from './strftime.ts';
import { Vocabulary, type Metadata } from './vocabulary.ts';

/** For models that know ChatML's tokens, but have no template. */
const CHATML = `{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

/** For models that were never taught to chat: text in which a conversation is likely to go on. */
const PLAIN = `{% for message in messages %}{{ message.content + '\\n\\n' if message.role == 'system' else message.role | capitalize + ': ' + message.content + '\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}`;

interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

interface ChatTemplateOptions {
  /** End where the assistant's answer starts; default true. */
  readonly addGenerationPrompt?: boolean;
  /** Name of one of the file's further templates (`tokenizer.chat_template.<name>`); default: the file's main one. */
  readonly name?: string;
  /** What the template takes for the time; default: the clock's. */
  readonly now?: Date;
}

/**
 * The text of a conversation as the model's file wants it written, special tokens and BOS included.
 *
 * A file without a template gets ChatML where its vocabulary has `<|im_start|>`, and otherwise plain text: the system's
 * words, then `User: …` and `Assistant: …` line by line.
 * @param metadata of the GGUF header
 * Throws `ChatTemplateError`, and `ModelMetadataError` where the file has no vocabulary.
 */
export function renderChatTemplate(
  metadata: Metadata,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = true, name, now = new Date() }: ChatTemplateOptions = {},
): string {
  const key = name === undefined ? 'tokenizer.chat_template' : `tokenizer.chat_template.${name}`;
  const vocabulary = new Vocabulary(metadata);
  const text = (id: number | undefined) => (id === undefined ? '' : (vocabulary.tokens[id] ?? ''));
  const template = metadata.get(key);
  if (typeof template !== 'string' && name !== undefined) throw new ChatTemplateError(key, 'the file has no template of this name');
  const source = typeof template === 'string' ? template : fallback(vocabulary);
  try {
    return render(source, {
      messages,
      add_generation_prompt: addGenerationPrompt,
      bos_token: text(vocabulary.role('bos')),
      eos_token: text(vocabulary.role('eos')),
      leading_bos: text(vocabulary.leadingBos),
      // Templates test for null, which is what transformers gives them.
      tools: null,
      documents: null,
      english_strftime_now: (format: string) => strftime(format, now),
    });
  } catch (error) {
    throw new ChatTemplateError(key, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** As transformers renders. The engine's own strftime_now has months in the reader's language, so it is replaced. */
function render(template: string, values: Record<string, unknown>): string {
  return new Template(`{% set strftime_now = english_strftime_now %}\n${template}`).render(values);
}

function fallback({ tokens }: Vocabulary): string {
  return `{{ leading_bos }}${tokens.includes('<|im_start|>') ? CHATML : PLAIN}`;
}
