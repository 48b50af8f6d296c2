/** Models that the page ships, in the order in which the picker offers them. */
export interface EmbeddedModel {
  readonly file: string;
  readonly label: string;
  readonly about: string;
}

const urls = import.meta.glob<string>('../models/*.gguf', { query: '?url', import: 'default', eager: true });

/** Where a shipped model lies. */
export function embeddedUrl({ file }: EmbeddedModel): string {
  const url = urls[`../models/${file}`];
  if (url === undefined) throw new TypeError(`the page ships no ${file}`);
  return new URL(url, document.baseURI).href;
}
