import { RequestFields } from './request-fields.ts';
import { answerSettings, tokenCount, type AnswerSettings } from './settings.ts';

/** OpenAI's default. */
const MAX_TOKENS = 16;
const MAX_TOP_LOGPROBS = 5;

/** A request to `completions.create`, checked and with defaults. */
export interface CompletionRequestSettings extends AnswerSettings {
  readonly prompt: string | readonly number[];
}

/** Throws `RequestError`. */
export function completionSettings(request: unknown): CompletionRequestSettings {
  const fields = new RequestFields(request);
  const settings = answerSettings(fields);
  const prompt = promptOf(fields);
  fields.only('best_of', 1, 'one answer is generated');
  fields.only('echo', false, 'join prompt and answer yourself');
  const maxTokens = tokenCount(fields, 'max_tokens') ?? MAX_TOKENS;
  const topLogprobs = fields.number('logprobs', { min: 0, max: MAX_TOP_LOGPROBS, whole: true });
  fields.end();
  return { ...settings, prompt, maxTokens, topLogprobs };
}

function promptOf(fields: RequestFields): string | readonly number[] {
  const prompt = fields.get('prompt');
  if (typeof prompt === 'string') return prompt;
  if (Array.isArray(prompt) && prompt.every((id): id is number => typeof id === 'number')) return prompt;
  return fields.refuse('prompt', 'must be a text or a list of token ids');
}
