import { basename } from 'node:path';
import { UsageError, count, text, type Options } from '../../packages/cli/src/args.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import { showLoad } from './show.ts';

/** How long loading takes, from the file and from where browsers keep models. */
export async function loadCommand(options: Options): Promise<void> {
  if (hostName(options) !== 'chromium') throw new UsageError('load needs a browser: Node has no IndexedDB.');
  const store = text(options, 'store') ?? 'opfs';
  if (store !== 'opfs' && store !== 'indexeddb') throw new UsageError(`--store is "${store}", but must be opfs or indexeddb.`);
  const report = await runAlone(options, 'load', { runs: count(options, 'runs', 1) ?? 3, store });
  await print(options, { command: 'load', model: basename(modelPath(options)), host: hostName(options), store, report }, showLoad);
}
