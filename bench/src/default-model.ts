import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folders that a model may lie in, from the project's root; the demo's embedded one first. */
const FOLDERS = ['packages/demo/models', 'packages/runtime/test/fixtures/olmoe-q4_0'];

/** Path of the model to measure where none is named. Run from the project's root, as npm does. */
export function defaultModel(): string {
  for (const folder of FOLDERS) {
    const found = existsSync(folder) ? readdirSync(folder).find((name) => name.endsWith('.gguf')) : undefined;
    if (found) return join(folder, found);
  }
  throw new Error(`No model in ${FOLDERS.join(' or ')}: name one with --model PATH.`);
}
