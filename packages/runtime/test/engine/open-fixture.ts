import { join } from 'node:path';
import { dawnGpu } from '../../../shaders/test/harness/dawn.ts';
import type { LoadOptions } from '../../src/api/types.ts';
import { openOn, type OpenFixture } from './open-on.ts';

export type { OpenFixture };

/** A fixture's model on Node's Dawn, all weights resident. */
export function openFixture(folder: string, options: LoadOptions = {}): Promise<OpenFixture> {
  return openFile(join(folder, 'model.gguf'), options);
}

/** A GGUF file on Node's Dawn, all weights resident unless the options say otherwise. */
export function openFile(path: string, options: LoadOptions = {}): Promise<OpenFixture> {
  return openOn(dawnGpu(), path, options);
}
