import { basename } from 'node:path';
import { count, type Options } from '../../packages/cli/src/args.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import { digits, median, table } from '../../packages/cli/src/numbers.ts';
import type { OnDemandResult, OnDemandRow } from './types.ts';

const BUDGETS = {
  'all resident': {},
  'budget of 100%': { gpuBudget: '100%' },
  'budget of 50%, rest in host memory': { gpuBudget: '50%', hostBudget: '100%' },
} as const;

/** Decode through the paged path beside the resident one, and against the bound that uploads and read-backs set. */
export async function onDemandCommand(options: Options): Promise<void> {
  const job = { promptTokens: count(options, 'prompt-tokens', 1) ?? 64, genTokens: count(options, 'gen-tokens', 2) ?? 64, runs: count(options, 'runs', 1) ?? 3 };
  const rows: OnDemandRow[] = [];
  for (const [name, budget] of Object.entries(BUDGETS)) rows.push({ name, ...(await runAlone(options, 'ondemand', { ...job, ...budget })) });
  const { ms } = await runAlone(options, 'readback', { times: 100 });
  const upload = await runAlone(options, 'upload', { bytes: (count(options, 'megabytes', 1) ?? 512) * 1e6 });
  const uploadBytesPerMs = Math.max(...upload.rows.map((row) => upload.bytes / row.ms));
  print(options, { command: 'ondemand', model: basename(modelPath(options)), host: hostName(options), rows, readBackMs: median(ms), uploadBytesPerMs }, showOnDemand);
}

/** The bound is the time that a token's missing bytes and one read-back a layer take, where anything is missing. */
export function showOnDemand({ model, host, rows, readBackMs, uploadBytesPerMs }: OnDemandResult): string {
  const [resident] = rows;
  const lines = rows.map((row) => {
    const tps = median(row.decodeTps);
    const boundMs = row.missedBytes / uploadBytesPerMs + (row.missedExperts > 0 ? row.layers * readBackMs : 0);
    const bound = boundMs > 0 ? [digits(1000 / boundMs), percent((tps * boundMs) / 1000)] : ['–', '–'];
    return [row.name, digits(tps), percent(tps / median(resident?.decodeTps ?? [])), digits(row.missedExperts), digits(row.missedBytes / 1e6), digits(row.submits), digits(row.readbacks), ...bound];
  });
  const head = ['experts', 'decode tok/s', 'of resident', 'missed a token', 'MB a token', 'submits', 'read-backs', 'bound tok/s', 'of the bound'];
  return [`on demand · ${model} · ${host} · read-back ${digits(readBackMs)} ms · upload ${digits(uploadBytesPerMs / 1e6)} GB/s`, '', table(head, lines)].join('\n');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}
