import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A fixture's prompt, and what greedy decoding must write after it: exactly, over its first `robust_tokens`. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly greedy: readonly number[];
  readonly robust_tokens: number;
}

/** @param folder with a `reference.json` */
export function readPrompts(folder: string): readonly Prompt[] {
  return (JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as { readonly prompts: readonly Prompt[] }).prompts;
}
