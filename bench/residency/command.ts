import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { text, type Options } from '../../packages/cli/src/args.ts';
import { LfruPolicy } from '../../packages/runtime/src/residency/policy/lfru.ts';
import { replay, type PolicyFactory, type Replayed } from '../../packages/runtime/src/residency/policy/replay.ts';
import type { RouterTrace } from '../../packages/runtime/src/model/router-trace.ts';
import { print } from '../src/command.ts';
import { table } from '../../packages/cli/src/numbers.ts';
import { Belady, Lfu, Lru, NextToken } from './policies.ts';
import { recordTrace } from './record.ts';
import { zipfTrace } from './zipf.ts';

const SHARES = [0.06, 0.12, 0.25, 0.5, 0.75] as const;

const POLICIES: Readonly<Record<string, PolicyFactory>> = {
  'ours, eviction alone': () => new LfruPolicy(),
  LRU: () => new Lru(),
  LFU: () => new Lfu(),
  'knows the next token': (steps) => new NextToken(steps),
  "Belady's optimum": (steps) => new Belady(steps),
};

/** By policy, in the order of the shares. */
type Rows = Readonly<Record<string, readonly Replayed[]>>;

interface TraceReport {
  readonly trace: string;
  readonly tokens: number;
  readonly rows: Rows;
}

/**
 * Hit rates of eviction policies on router traces, and what they bring: on one that `--record FILE` recorded of the demo's
 * model, with what was foretold (`--trace`, also one of `gatefold generate --trace`), and on one made up.
 */
export async function residencyCommand(options: Options): Promise<void> {
  const recordTo = text(options, 'record');
  if (recordTo !== undefined) return writeFile(recordTo, JSON.stringify(await recordTrace()));
  const path = text(options, 'trace') ?? 'bench/residency/stories-trace.json';
  const recorded: RouterTrace = JSON.parse(readFileSync(path, 'utf8'));
  const made = zipfTrace({ layers: 8, experts: 64, topK: 8, tokens: 2000, exponent: 1, repeat: 0.4, topicTokens: 400, seed: 1 });
  const traces = { [basename(path)]: recorded, 'Zipf, 64 experts, top-8, 5 subjects': made };
  const reports = Object.entries(traces).map(([name, trace]): TraceReport => ({ trace: name, tokens: trace.tokens.length, rows: replayAll(trace) }));
  await print(options, { command: 'residency', shares: SHARES, reports }, ({ reports: shown }) => shown.map(showTrace).join('\n\n'));
}

function replayAll(trace: RouterTrace): Rows {
  const row = (policy: PolicyFactory, prefetch = false) => SHARES.map((share) => replay(trace, share, policy, prefetch));
  const rows = Object.fromEntries(Object.entries(POLICIES).map(([name, policy]) => [name, row(policy)]));
  return trace.foretold ? { 'ours with prefetch': row(() => new LfruPolicy(), true), ...rows } : rows;
}

function showTrace({ trace, tokens, rows }: TraceReport): string {
  const shown = (title: string, cell: (replayed: Replayed) => string) =>
    table([title, ...SHARES.map((share) => `${share * 100}%`)], Object.entries(rows).map(([policy, row]) => [policy, ...row.map(cell)]));
  const hits = shown('hit rate at', ({ hitRate }) => `${(hitRate * 100).toFixed(1)}%`);
  const fetched = shown('experts brought a token at', (replayed) => replayed.fetched.toFixed(1));
  return [`${trace}, ${tokens} tokens`, '', hits, '', fetched].join('\n');
}
