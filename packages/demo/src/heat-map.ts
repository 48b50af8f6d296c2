import type { ExpertPlace, ModelInfo } from '@gatefold/runtime';
import { element } from './elements.ts';

/** Expert ids of one token, [moeLayer][k]. */
export type Choice = readonly (readonly number[])[];

/** How long an expert that came or left is outlined. */
const LIT_MS = 700;

/** The layer × expert picture: how often the router chose each expert, and what it chose for one token. */
export class HeatMap {
  readonly #canvas = element('heat-map', HTMLCanvasElement);
  readonly #caption = element('heat-caption', HTMLParagraphElement);
  #layers: readonly { readonly index: number; readonly experts: number }[] = [];
  #counts: Float64Array[] = [];
  #places: readonly (readonly ExpertPlace[])[] = [];
  /** When each expert last came to the GPU or left it, by `layer.expert`. */
  readonly #moved = new Map<string, number>();
  #shown: { readonly label: string; readonly choice: Choice } | undefined;
  #scheduled = false;

  constructor() {
    new ResizeObserver(() => this.#schedule()).observe(this.#canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#schedule());
  }

  /** Starts anew for a model; a dense model has no rows. */
  reset(info: ModelInfo): void {
    this.#places = [];
    this.#moved.clear();
    this.#layers = info.spec.layers.flatMap(({ index, ffn }) => (ffn.kind === 'moe' ? [{ index, experts: ffn.experts }] : []));
    this.clear();
  }

  clear(): void {
    this.#counts = this.#layers.map(({ experts }) => new Float64Array(experts));
    this.#shown = undefined;
    this.#schedule();
  }

  /** Adds a token's choice to the picture. */
  add(choice: Choice): void {
    for (const [layer, experts] of choice.entries()) {
      const counts = this.#counts[layer];
      for (const expert of experts) if (counts && expert < counts.length) counts[expert] = (counts[expert] ?? 0) + 1;
    }
    this.#schedule();
  }

  /** Outlines one token's experts, or none. */
  show(token: { readonly label: string; readonly choice: Choice } | undefined): void {
    this.#shown = token;
    this.#schedule();
  }

  /** Where experts are; what has moved since the last call lights up for a moment. */
  showPlaces(places: readonly (readonly ExpertPlace[])[]): void {
    const now = performance.now();
    for (const [row, experts] of places.entries()) {
      for (const [expert, place] of experts.entries()) {
        const before = this.#places[row]?.[expert];
        if (before !== undefined && (before === 'gpu') !== (place === 'gpu')) this.#moved.set(`${row}.${expert}`, now);
      }
    }
    this.#places = places;
    element('places', HTMLParagraphElement).hidden = places.every((experts) => experts.every((place) => place === 'gpu'));
    this.#schedule();
  }

  // Tokens may arrive faster than frames.
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    const canvas = this.#canvas;
    const context = canvas.getContext('2d');
    if (!context) return;
    const columns = Math.max(1, ...this.#layers.map(({ experts }) => experts));
    const rows = Math.max(1, this.#layers.length);
    const scale = devicePixelRatio;
    const width = canvas.clientWidth;
    const cellWidth = width / columns;
    const cellHeight = Math.min(18, Math.max(6, cellWidth));
    canvas.style.height = `${rows * cellHeight}px`;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(rows * cellHeight * scale);
    context.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const heat = style.getPropertyValue('--heat').trim();
    const gap = cellWidth > 4 ? 1 : 0;
    for (const [row, { experts }] of this.#layers.entries()) {
      const counts = this.#counts[row] ?? new Float64Array(experts);
      const most = Math.max(1, ...counts);
      const chosen = new Set(this.#shown?.choice[row] ?? []);
      for (let expert = 0; expert < experts; expert++) {
        const place = [expert * cellWidth, row * cellHeight, cellWidth - gap, cellHeight - gap] as const;
        context.fillStyle = style.getPropertyValue('--cell');
        context.fillRect(...place);
        const strength = (counts[expert] ?? 0) / most;
        if (strength > 0) {
          context.fillStyle = `rgb(${heat} / ${0.12 + 0.88 * strength})`;
          context.fillRect(...place);
        }
        const at = this.#places[row]?.[expert] ?? 'gpu';
        if (at !== 'gpu') {
          context.fillStyle = style.getPropertyValue(`--place-${at}`);
          context.fillRect(place[0], place[1] + place[3] - 2, place[2], 2);
        }
        const moved = this.#moved.get(`${row}.${expert}`);
        if (moved !== undefined && performance.now() - moved < LIT_MS) {
          context.strokeStyle = style.getPropertyValue('--moved');
          context.lineWidth = 1;
          context.strokeRect(place[0] + 0.5, place[1] + 0.5, place[2] - 1, place[3] - 1);
        }
        if (chosen.has(expert)) {
          context.strokeStyle = style.getPropertyValue('--ink');
          context.lineWidth = 2;
          context.strokeRect(place[0] + 1, place[1] + 1, place[2] - 2, place[3] - 2);
        }
      }
    }
    this.#describe();
  }

  #describe(): void {
    const caption = this.#text();
    this.#caption.textContent = caption;
    this.#canvas.setAttribute('aria-label', caption);
  }

  #text(): string {
    if (this.#layers.length === 0) return 'This model is dense: it has no experts to choose from.';
    if (!this.#shown) return 'Rows are layers, columns are experts; brighter: chosen more often. Point at a word, or walk through the answer with the arrow keys.';
    const choice = this.#shown.choice.map((experts, row) => `${this.#layers[row]?.index ?? row}: ${experts.join(', ')}`);
    return `“${this.#shown.label}” — layer: experts ${choice.join(' · ')}`;
  }
}
