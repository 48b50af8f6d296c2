import { RequestFields } from './request-fields.ts';
import { answerSettings, tokenCount, type AnswerSettings } from './settings.ts';
import type { ChatMessage } from './types.ts';

const MAX_TOP_LOGPROBS = 20;

/** A request to `chat.completions.create`, checked and with defaults. */
export interface ChatSettings extends AnswerSettings {
  readonly messages: readonly ChatMessage[];
}

/** Throws `RequestError`. */
export function chatSettings(request: unknown): ChatSettings {
  const fields = new RequestFields(request);
  const settings = answerSettings(fields);
  const list = fields.get('messages');
  if (!Array.isArray(list) || list.length === 0) return fields.refuse('messages', 'must be a list of at least one message');
  const messages = list.map((message: unknown, place) => chatMessage(new RequestFields(message, `messages[${place}]`)));
  const older = tokenCount(fields, 'max_tokens');
  const maxTokens = tokenCount(fields, 'max_completion_tokens') ?? older;
  const wanted = fields.boolean('logprobs') ?? false;
  const count = fields.number('top_logprobs', { min: 0, max: MAX_TOP_LOGPROBS, whole: true });
  if (count !== undefined && !wanted) fields.refuse('top_logprobs', 'needs logprobs: true');
  fields.end();
  return { ...settings, messages, maxTokens, topLogprobs: wanted ? (count ?? 0) : undefined };
}

function chatMessage(fields: RequestFields): ChatMessage {
  const role = fields.string('role');
  if (!role) fields.refuse('role', 'is missing: give "system", "user" or "assistant"');
  fields.string('name');
  const content = text(fields);
  fields.end();
  return { role, content };
}

/** A message's content, or its parts joined. */
function text(fields: RequestFields): string {
  const content = fields.get('content');
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return fields.refuse('content', 'must be text, or a list of parts that are text');
  return content
    .map((part: unknown, place) => {
      const { type, text: value } = { type: undefined, text: undefined, ...(typeof part === 'object' ? part : {}) } as { readonly type: unknown; readonly text: unknown };
      return type === 'text' && typeof value === 'string' ? value : fields.refuse(`content[${place}]`, 'must be { type: "text", text }: models here read text only');
    })
    .join('');
}
