import type { AdapterSummary, GenerateStats, MemoryUse } from '@gatefold/runtime';
import { element } from './elements.ts';
import { formatBytes, formatDuration, formatRate } from './format.ts';

/** The measurements beside the conversation. */
export class Numbers {
  readonly #firstToken = element('first-token', HTMLElement);
  readonly #prefill = element('prefill-rate', HTMLElement);
  readonly #decode = element('decode-rate', HTMLElement);
  readonly #hitRate = element('hit-rate', HTMLElement);
  readonly #memory = element('memory', HTMLElement);
  readonly #dispatches = element('dispatches', HTMLElement);
  readonly #adapter = element('adapter', HTMLElement);

  showAdapter({ vendor, architecture, description }: AdapterSummary): void {
    this.#adapter.textContent = [vendor, architecture || description].filter(Boolean).join(' ') || 'unknown';
  }

  showFirstToken(ms: number): void {
    this.#firstToken.textContent = formatDuration(ms);
  }

  showDecodeRate(tokensPerSecond: number): void {
    this.#decode.textContent = formatRate(tokensPerSecond);
  }

  showMemory({ gpuBytes, kvBytes }: MemoryUse): void {
    this.#memory.textContent = `${formatBytes(gpuBytes)} (cache ${formatBytes(kvBytes)})`;
  }

  showStats({ promptTokens, reusedTokens, prefillTps, decodeTps, generatedTokens, dispatchesPerToken, expertHits, expertMisses, expertBytes }: GenerateStats): void {
    const reused = reusedTokens > 0 ? `, ${reusedTokens} kept` : '';
    this.#prefill.textContent = `${formatRate(prefillTps)} (${promptTokens} tokens${reused})`;
    if (generatedTokens > 1) this.#decode.textContent = formatRate(decodeTps);
    this.#dispatches.textContent = dispatchesPerToken.toFixed(0);
    const choices = expertHits + expertMisses;
    const tokens = promptTokens - reusedTokens + generatedTokens;
    this.#hitRate.textContent = choices === 0 ? '–' : `${((100 * expertHits) / choices).toFixed(1)}% (${formatBytes(expertBytes / tokens)} a token)`;
  }
}
