import type { ProgressEvent } from '@gatefold/runtime';
import { element } from './elements.ts';
import { formatBytes, formatDuration } from './format.ts';

const PHASES: Readonly<Record<ProgressEvent['phase'], string>> = {
  header: 'Reading the file’s header',
  compile: 'Compiling shaders',
  fetch: 'Downloading',
  upload: 'Moving to the GPU',
  ready: 'Ready',
};

/** Progress of loading: phase, bytes, and the time left at the rate so far. */
export class ProgressBar {
  readonly #box = element('progress', HTMLDivElement);
  readonly #bar = element('bar', HTMLProgressElement);
  readonly #text = element('progress-text', HTMLParagraphElement);
  #phase: ProgressEvent['phase'] | undefined;
  #phaseStart = 0;

  show({ phase, bytes, bytesTotal, bytesFromStore }: ProgressEvent): void {
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#phaseStart = performance.now();
    }
    this.#box.hidden = phase === 'ready';
    if (bytesTotal > 0) this.#bar.value = bytes / bytesTotal;
    else this.#bar.removeAttribute('value');
    const elapsed = performance.now() - this.#phaseStart;
    const left = bytes > 0 && elapsed > 500 && bytes < bytesTotal ? `, ${formatDuration((elapsed / bytes) * (bytesTotal - bytes))} left` : '';
    const cached = bytesFromStore > 0 ? ` (${formatBytes(bytesFromStore)} were already here)` : '';
    this.#text.textContent = bytesTotal > 0 ? `${PHASES[phase]}: ${formatBytes(bytes)} of ${formatBytes(bytesTotal)}${cached}${left}` : `${PHASES[phase]} …`;
  }

  /** Progress through a long prompt. */
  showPrefill(tokens: number, tokensTotal: number): void {
    this.#box.hidden = tokens >= tokensTotal;
    this.#bar.value = tokens / tokensTotal;
    this.#text.textContent = `Reading your text: ${tokens} of ${tokensTotal} tokens`;
  }

  hide(): void {
    this.#box.hidden = true;
    this.#phase = undefined;
  }
}
