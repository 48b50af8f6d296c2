import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folder of the demo's models, from the project's root, where npm runs. */
const FOLDER = 'packages/demo/models';

/** The models that the demo offers, the default first. */
export function shippedModels(): readonly { readonly name: string; readonly path: string }[] {
  const offered: readonly { readonly file: string }[] = JSON.parse(readFileSync(join(FOLDER, 'models.json'), 'utf8'));
  return offered.map(({ file }) => ({ name: file, path: join(FOLDER, file) }));
}

/** Path of the model to measure where none is named: the demo's default. */
export function defaultModel(): string {
  const [first] = shippedModels();
  if (!first) throw new Error('The demo offers no model: name one with --model PATH.');
  return first.path;
}
