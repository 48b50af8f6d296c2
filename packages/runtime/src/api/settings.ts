import type { RequestFields } from './request-fields.ts';
import type { SamplingOptions } from './types.ts';

/** OpenAI's; what answers are like when nobody says anything is up to it. */
const DEFAULT_TEMPERATURE = 1;
const MAX_STOPS = 16;

/** Bounds that the sampler has. */
const MAX_REPEAT_PENALTY = 100;
const MAX_COUNT = 2 ** 31 - 1;

/** How to answer, checked and with defaults. */
export interface AnswerSettings {
  readonly sampling: SamplingOptions;
  readonly stops: readonly string[];
  /** Undefined: to the end of the context. */
  readonly maxTokens: number | undefined;
  /** Alternatives that each token's log-probability comes with; undefined: no log-probabilities. */
  readonly topLogprobs: number | undefined;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** The settings that both APIs have under the same names. Throws `RequestError`. */
export function answerSettings(fields: RequestFields): Omit<AnswerSettings, 'maxTokens' | 'topLogprobs'> {
  fields.string('model');
  fields.string('user');
  fields.only('n', 1, 'ask again for another answer');
  fields.only('presence_penalty', 0, 'use repeat_penalty');
  fields.only('frequency_penalty', 0, 'use repeat_penalty');
  const sampling = {
    temperature: fields.number('temperature', { min: 0, max: 2 }) ?? DEFAULT_TEMPERATURE,
    topP: fields.number('top_p', { min: 0, max: 1 }),
    topK: fields.number('top_k', { min: 0, max: MAX_COUNT, whole: true }),
    minP: fields.number('min_p', { min: 0, max: 1 }),
    repeatPenalty: fields.number('repeat_penalty', { min: 0.01, max: MAX_REPEAT_PENALTY }),
    seed: fields.number('seed', { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, whole: true }),
  };
  const stream = fields.boolean('stream') ?? false;
  const streamOptions = fields.object('stream_options');
  if (streamOptions && !stream) fields.refuse('stream_options', 'needs stream: true');
  const includeUsage = streamOptions?.boolean('include_usage') ?? false;
  streamOptions?.end();
  return { sampling: definedOnly(sampling), stops: stops(fields), stream, includeUsage };
}

/** An answer's length. Throws `RequestError`. */
export function tokenCount(fields: RequestFields, field: string): number | undefined {
  return fields.number(field, { min: 1, max: MAX_COUNT, whole: true });
}

function stops(fields: RequestFields): readonly string[] {
  const value = fields.get('stop') ?? [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = list.filter((stop): stop is string => typeof stop === 'string' && stop !== '');
  if (texts.length < list.length) fields.refuse('stop', 'must be a text or a list of texts, none of them empty');
  if (texts.length > MAX_STOPS) fields.refuse('stop', `has ${texts.length} texts, but may have ${MAX_STOPS}`);
  return texts;
}

/** The object without fields that are undefined. */
function definedOnly<T extends Readonly<Record<string, number | undefined>>>(object: T): { readonly [K in keyof T]?: number } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as { readonly [K in keyof T]?: number };
}
