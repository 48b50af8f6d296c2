import { readFile, writeFile } from 'node:fs/promises';
import { createManifest, manifestName, type RouterTrace } from '@gatefold/runtime/node';
import { text } from '../args.ts';
import { JobError } from '../hosts/host.ts';
import { localModel, reportProgress, type FileCommand } from './file-command.ts';

/** Writes a model's manifest beside it, or where `--out` says. */
export const manifestCommand: FileCommand = async (options, { terminal, signal }) => {
  const { path, source } = await localModel(options);
  const traceFile = text(options, 'trace');
  const trace = traceFile === undefined ? {} : { trace: await readTrace(traceFile) };
  const manifest = await createManifest(source, { signal, onProgress: reportProgress(terminal), ...trace });
  const out = text(options, 'out') ?? manifestName(path);
  await writeFile(out, `${JSON.stringify(manifest)}\n`);
  if (options['json']) terminal.json({ manifest: out, shards: manifest.shards.length });
  else terminal.note(`${out}: ${manifest.shards.length} shards`);
};

/** What `gatefold generate --trace` wrote. */
async function readTrace(path: string): Promise<RouterTrace> {
  const trace: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (!isTrace(trace)) throw new JobError('bad-trace', `${path} is no router trace. Record one with: gatefold generate --trace FILE.json.`);
  return trace;
}

function isTrace(value: unknown): value is RouterTrace {
  return typeof value === 'object' && value !== null && 'experts' in value && 'tokens' in value && Array.isArray(value.experts) && Array.isArray(value.tokens);
}
