import { PathSource } from '@gatefold/runtime/node';
import { requiredText, type Options } from '../args.ts';
import { isUrl, locateModel } from '../hosts/locate-model.ts';
import { JobError } from '../hosts/host.ts';
import type { Terminal } from '../terminal.ts';

/** A command that runs no job: it reads files, passes messages on, or serves a room. Throws `UsageError`, `JobError`, `GatefoldError`. */
export type FileCommand = (options: Options, workplace: { readonly terminal: Terminal; readonly signal: AbortSignal }) => Promise<void>;

/** The model's path, and its bytes. */
export async function localModel(options: Options): Promise<{ readonly path: string; readonly source: PathSource }> {
  const path = await locateModel(requiredText(options, 'model'));
  if (isUrl(path)) throw new JobError('source-url', `${path}: this command reads files. Download the model first.`);
  return { path, source: new PathSource(path) };
}

export function reportProgress(terminal: Terminal): (bytes: number, bytesTotal: number) => void {
  return (bytes, bytesTotal) => terminal.show({ kind: 'progress', message: `read ${(bytes / 1e6).toFixed(1)} of ${(bytesTotal / 1e6).toFixed(1)} MB` });
}
