import { deleteModel, requestPersistence, type DownloadEvent, type Model } from '@gatefold/runtime';
import { element, showText } from './elements.ts';
import { formatBytes } from './format.ts';

/** What of the model is kept on this device: all of it for use offline, or nothing any more. */
export class StoragePanel {
  readonly #download = element('download', HTMLButtonElement);
  readonly #forget = element('forget', HTMLButtonElement);
  readonly #text = element('storage-text', HTMLParagraphElement);
  readonly #quota = element('quota', HTMLParagraphElement);
  #model: Model | undefined;
  #downloading: AbortController | undefined;

  /** @param onError told why a download failed @param onChange called while shards come and when they are gone */
  constructor(
    readonly onError: (error: unknown) => void,
    readonly onChange: () => void,
  ) {
    this.#download.addEventListener('click', () => void this.#toggle());
    this.#forget.addEventListener('click', () => void this.#forgetModel());
    void this.#showQuota();
  }

  /** @param model undefined while none is loaded */
  reset(model: Model | undefined): void {
    this.#downloading?.abort();
    this.#model = model;
    this.#download.disabled = this.#forget.disabled = !model;
    showText(this.#text, undefined);
    void this.#showQuota();
  }

  show({ bytes, bytesTotal, networkBytesPerSecond, diskBytesPerSecond }: DownloadEvent): void {
    const rates = [
      networkBytesPerSecond > 0 ? `${formatBytes(networkBytesPerSecond)}/s from the network` : '',
      diskBytesPerSecond > 0 ? `${formatBytes(diskBytesPerSecond)}/s from the disk` : '',
    ].filter(Boolean);
    const how = bytes === bytesTotal ? '' : rates.length > 0 ? `, ${rates.join(', ')}` : '';
    showText(this.#text, bytes === bytesTotal ? 'All of the model is on this device.' : `${formatBytes(bytes)} of ${formatBytes(bytesTotal)} are on this device${how}.`);
    this.onChange();
  }

  async #toggle(): Promise<void> {
    if (this.#downloading) return this.#downloading.abort();
    const model = this.#model;
    if (!model) return;
    const mine = new AbortController();
    this.#downloading = mine;
    this.#download.textContent = 'Pause the download';
    try {
      // Some browsers ask the person.
      void requestPersistence();
      await model.download({ signal: mine.signal, onProgress: (event) => this.show(event) });
    } catch (error) {
      if (!mine.signal.aborted) this.onError(error);
    } finally {
      this.#downloading = undefined;
      this.#download.textContent = 'Download all for offline';
      void this.#showQuota();
    }
  }

  async #forgetModel(): Promise<void> {
    this.#downloading?.abort();
    if (!this.#model) return;
    await deleteModel(this.#model.info.modelId);
    showText(this.#text, 'This model is no longer kept here. It goes on until you leave the page.');
    this.onChange();
    await this.#showQuota();
  }

  async #showQuota(): Promise<void> {
    const { usage, quota } = (await navigator.storage?.estimate?.()) ?? {};
    showText(this.#quota, usage === undefined || quota === undefined ? undefined : `This site keeps ${formatBytes(usage)}; the browser allows ${formatBytes(quota)}.`);
  }
}
