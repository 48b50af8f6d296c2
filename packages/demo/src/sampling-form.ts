import type { SamplingOptions } from '@gatefold/runtime';
import { element } from './elements.ts';

/** The person's sampling settings; empty fields are left to their defaults. */
export function readSampling(): { readonly sampling: SamplingOptions; readonly maxTokens: number } {
  const value = (id: string) => {
    const { valueAsNumber } = element(id, HTMLInputElement);
    return Number.isNaN(valueAsNumber) ? undefined : valueAsNumber;
  };
  const seed = value('seed');
  return {
    maxTokens: value('max-tokens') ?? 300,
    sampling: {
      temperature: value('temperature') ?? 0.7,
      topK: value('top-k') ?? 0,
      topP: value('top-p') ?? 1,
      minP: value('min-p') ?? 0,
      repeatPenalty: value('repeat-penalty') ?? 1,
      ...(seed === undefined ? {} : { seed }),
    },
  };
}
