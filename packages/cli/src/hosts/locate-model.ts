import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JobError } from './host.ts';

export function isUrl(model: string): boolean {
  return /^https?:\/\//i.test(model);
}

/**
 * What --model names: an http(s) URL as it is, or the absolute path of a file. Paths are relative to where the command
 * was called; `file:` URLs are paths too. Throws `JobError` 'source-missing' for a path without a file that can be read.
 */
export async function locateModel(given: string): Promise<string> {
  if (isUrl(given)) return given;
  const path = given.startsWith('file:') ? fileURLToPath(given) : resolve(given);
  const refuse = (problem: string, cause?: unknown) => new JobError('source-missing', `${path}: ${problem}. Give the path or the http(s) URL of a .gguf file.`, { cause });
  const info = await stat(path).catch((error: unknown) => {
    throw refuse('there is no such file', error);
  });
  if (!info.isFile()) throw refuse('this is no file');
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw refuse('the file cannot be read', error);
  });
  return path;
}
