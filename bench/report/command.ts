import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requiredText, type Options } from '../../packages/cli/src/args.ts';
import { showCompare, showLoad } from '../compare/show.ts';
import type { CompareResult, LoadResult } from '../compare/types.ts';
import { showMoeBlock } from '../moe-block/command.ts';
import type { MoeBlockResult } from '../moe-block/types.ts';
import { showOnDemand } from '../on-demand/command.ts';
import type { OnDemandResult } from '../on-demand/types.ts';
import { showProfile } from '../profile/command.ts';
import type { ProfileResult } from '../profile/types.ts';
import { showStorage } from '../storage/command.ts';
import type { StorageResult } from '../storage/types.ts';
import { showUpload } from '../upload/command.ts';
import type { UploadResult } from '../upload/types.ts';

/** What the commands write with --json. */
type Result = CompareResult | LoadResult | MoeBlockResult | OnDemandResult | ProfileResult | StorageResult | UploadResult;

/**
 * Gathers the results in a folder, one `NAME.json` each, in the order of their names: all in one `results.json`, and as
 * Markdown in `results.md` and on stdout. Empty files are measurements that did not come to an end.
 */
export async function reportCommand(options: Options): Promise<void> {
  const folder = requiredText(options, 'dir');
  const out = requiredText(options, 'out');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  const results: Record<string, Result | null> = {};
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8');
    results[name.replace(/\.json$/, '')] = text.trim() === '' ? null : (JSON.parse(text) as Result);
  }
  const markdown = Object.entries(results).map(([name, result]) => `### ${name}\n\n${result ? show(result) : 'no result'}\n`);
  await writeFile(join(out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  await writeFile(join(out, 'results.md'), markdown.join('\n'));
  process.stdout.write(markdown.join('\n'));
}

function show(result: Result): string {
  switch (result.command) {
    case 'compare':
      return showCompare(result);
    case 'load':
      return showLoad(result);
    case 'moe-block':
      return showMoeBlock(result);
    case 'ondemand':
      return showOnDemand(result);
    case 'profile':
      return showProfile(result);
    case 'storage':
      return showStorage(result);
    case 'upload':
      return showUpload(result);
  }
}
