import { element } from './elements.ts';

/** How much of the model may be on the GPU: all of it from the start, or a share of the experts, loaded as they are asked for. */
export class BudgetSlider {
  readonly #onDemand = element('on-demand', HTMLInputElement);
  readonly #share = element('budget', HTMLInputElement);
  readonly #shown = element('budget-shown', HTMLOutputElement);

  /** @param onChange called when the person has chosen another budget */
  constructor(onChange: () => void) {
    this.#onDemand.addEventListener('change', () => {
      this.#show();
      onChange();
    });
    this.#share.addEventListener('input', () => this.#show());
    this.#share.addEventListener('change', onChange);
    this.#show();
  }

  /** The load option; undefined where everything is to be resident. */
  get gpuBudget(): string | undefined {
    return this.#onDemand.checked ? `${this.#share.value}%` : undefined;
  }

  #show(): void {
    this.#share.disabled = !this.#onDemand.checked;
    this.#shown.textContent = `${this.#share.value}% of the experts on the GPU`;
  }
}
