import { readFile } from 'node:fs/promises';
import { manifestName, parseManifest, verifyModel } from '@gatefold/runtime/node';
import { JobError } from '../hosts/host.ts';
import { localModel, reportProgress, type FileCommand } from './file-command.ts';

/** How many damaged shards are named. */
const NAMED = 10;

/** Compares a model with the manifest beside it. Throws `JobError` where there is none, and where shards differ. */
export const verifyCommand: FileCommand = async (options, { terminal, signal }) => {
  const { path, source } = await localModel(options);
  const name = manifestName(path);
  const text = await readFile(name, 'utf8').catch((cause: unknown) => {
    throw new JobError('manifest', `${name}: there is no manifest that can be read. Make one of a file that you trust with: gatefold manifest ${path}.`, { cause });
  });
  const { shards, damaged } = await verifyModel(source, parseManifest(text, name), name, { signal, onProgress: reportProgress(terminal) });
  if (options['json']) terminal.json({ shards, damaged });
  if (damaged.length > 0) {
    const more = damaged.length > NAMED ? ` and ${damaged.length - NAMED} more` : '';
    throw new JobError('shard-hash', `${path}: ${damaged.length} of ${shards} shards are not what the manifest says: ${damaged.slice(0, NAMED).join(', ')}${more}. Get the file again.`);
  }
  if (!options['json']) terminal.note(`${path}: all ${shards} shards are what the manifest says`);
};
