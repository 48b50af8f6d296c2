import type { ModelSource } from '@gatefold/runtime';
import { element } from './elements.ts';
import { embeddedUrl, type EmbeddedModel } from './embedded-models.ts';

/** Lets the person choose an embedded model, a URL, or files (picked or dropped anywhere on the page). */
export class ModelPicker {
  readonly #select = element('model', HTMLSelectElement);
  readonly #about = element('about', HTMLParagraphElement);
  readonly #fromUrl = element('from-url', HTMLDivElement);
  readonly #fromFile = element('from-file', HTMLDivElement);
  readonly #models: readonly EmbeddedModel[];
  readonly #open: (source: ModelSource | readonly File[]) => void;

  /** @param open called with what the person chose */
  constructor(models: readonly EmbeddedModel[], open: (source: ModelSource | readonly File[]) => void) {
    this.#models = models;
    this.#open = open;
    for (const { label } of models) this.#select.add(new Option(label));
    this.#select.add(new Option('A model from the web …', 'url'));
    this.#select.add(new Option('A file on this device …', 'file'));
    this.#select.addEventListener('change', () => this.#changed());
    const url = element('url', HTMLInputElement);
    const openUrl = () => {
      if (url.value && url.reportValidity()) open(url.value);
    };
    element('open-url', HTMLButtonElement).addEventListener('click', openUrl);
    url.addEventListener('keydown', ({ key }) => {
      if (key === 'Enter') openUrl();
    });
    const file = element('file', HTMLInputElement);
    file.addEventListener('change', () => {
      if (file.files?.length) open([...file.files]);
    });
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      const files = [...(event.dataTransfer?.files ?? [])].filter(({ name }) => name.endsWith('.gguf'));
      if (files.length) open(files);
    });
  }

  /** Loads what is selected. */
  start(): void {
    this.#changed();
  }

  describe(text: string): void {
    this.#about.textContent = text;
  }

  #changed(): void {
    const { value, selectedIndex } = this.#select;
    this.#fromUrl.hidden = value !== 'url';
    this.#fromFile.hidden = value !== 'file';
    const model = this.#models[selectedIndex];
    if (!model) return;
    this.#about.textContent = model.about;
    this.#open(embeddedUrl(model));
  }
}
