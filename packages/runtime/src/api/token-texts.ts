import type { PlacedToken } from './answer.ts';
import type { TopLogprob } from './openai.ts';
import type { ModelService } from './types.ts';

/** Texts of single tokens, asked for once. */
export class TokenTexts {
  readonly #known = new Map<number, string>();

  constructor(readonly service: Pick<ModelService, 'tokenTexts'>) {}

  /** Gets the texts of these tokens and of their alternatives. */
  async fetch(tokens: readonly PlacedToken[]): Promise<void> {
    const ids = tokens.flatMap(({ event }) => [event.id, ...(event.topLogprobs ?? []).map(({ id }) => id)]);
    const unknown = [...new Set(ids)].filter((id) => !this.#known.has(id));
    if (unknown.length === 0) return;
    const texts = await this.service.tokenTexts(unknown);
    for (const [place, id] of unknown.entries()) this.#known.set(id, texts[place] ?? '');
  }

  /** Text of a token that was fetched. */
  get(id: number): string {
    return this.#known.get(id) ?? '';
  }

  entry(id: number, logprob: number): TopLogprob {
    const token = this.get(id);
    // A token that is part of a character decodes to replacement characters, whose bytes are not its own.
    const bytes = token.includes('\uFFFD') ? null : [...new TextEncoder().encode(token)];
    return { token, logprob, bytes };
  }
}
