import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { text, type Options } from '../../packages/cli/src/args.ts';
import { LfruPolicy } from '../../packages/runtime/src/residency/policy/lfru.ts';
import { replay, type PolicyFactory } from '../../packages/runtime/src/residency/policy/replay.ts';
import type { RouterTrace } from '../../packages/runtime/src/model/router-trace.ts';
import { print } from '../src/command.ts';
import { table } from '../../packages/cli/src/numbers.ts';
import { Belady, Lfu, Lru, NextToken } from './policies.ts';
import { zipfTrace } from './zipf.ts';

const SHARES = [0.06, 0.12, 0.25, 0.5, 0.75] as const;

const POLICIES: Readonly<Record<string, PolicyFactory>> = {
  ours: () => new LfruPolicy(),
  LRU: () => new Lru(),
  LFU: () => new Lfu(),
  'knows the next token': (steps) => new NextToken(steps),
  "Belady's optimum": (steps) => new Belady(steps),
};

interface TraceReport {
  readonly trace: string;
  readonly tokens: number;
  /** Hit rate by policy, in the order of the shares. */
  readonly hits: Readonly<Record<string, readonly number[]>>;
}

/** Hit rates of eviction policies on router traces: a recorded one (`gatefold generate --trace`), and one made up. */
export async function residencyCommand(options: Options): Promise<void> {
  const path = text(options, 'trace') ?? 'bench/residency/stories-trace.json';
  const recorded: RouterTrace = JSON.parse(readFileSync(path, 'utf8'));
  const made = zipfTrace({ layers: 8, experts: 64, topK: 8, tokens: 2000, exponent: 1, repeat: 0.4, topicTokens: 400, seed: 1 });
  const traces = { [basename(path)]: recorded, 'Zipf, 64 experts, top-8, 5 subjects': made };
  const reports = Object.entries(traces).map(([name, trace]): TraceReport => ({
    trace: name,
    tokens: trace.tokens.length,
    hits: Object.fromEntries(Object.entries(POLICIES).map(([policy, factory]) => [policy, SHARES.map((share) => replay(trace, share, factory))])),
  }));
  await print(options, { command: 'residency', shares: SHARES, reports }, ({ reports: shown }) => shown.map(showTrace).join('\n\n'));
}

function showTrace({ trace, tokens, hits }: TraceReport): string {
  const header = ['hit rate at', ...SHARES.map((share) => `${share * 100}%`)];
  const rows = Object.entries(hits).map(([policy, rates]) => [policy, ...rates.map((rate) => `${(rate * 100).toFixed(1)}%`)]);
  return [`${trace}, ${tokens} tokens`, '', table(header, rows)].join('\n');
}
