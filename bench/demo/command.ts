import { availableParallelism } from 'node:os';
import { count, type Options } from '../../packages/cli/src/args.ts';
import { serveFiles } from '../../packages/cli/src/hosts/file-server.ts';
import { print } from '../src/command.ts';
import { digits, median, table } from '../../packages/cli/src/numbers.ts';
import { shippedModels } from '../src/shipped-models.ts';
import { visit, type Visit } from './visit.ts';

/** Where `vite build` puts the demo, from the project's root. */
const BUILT = 'packages/demo/dist';

interface DemoResult {
  readonly command: 'demo';
  /** Cores that a CPU adapter computes on. */
  readonly cores: number;
  readonly adapter: string;
  readonly models: readonly DemoRow[];
}

interface DemoRow {
  /** File name. */
  readonly model: string;
  readonly readyMs: readonly number[];
  readonly firstTokenMs: readonly number[];
  readonly decodeTps: readonly number[];
}

/** What a first visitor of the demo page meets: how long until the first token, and how fast the answer goes on. */
export async function demoCommand(options: Options): Promise<void> {
  const runs = count(options, 'runs', 1) ?? 3;
  const maxTokens = count(options, 'gen-tokens', 2) ?? 64;
  // Not at the top: `gpu.sh` runs where there is no vite.
  const { build } = await import('vite');
  await build({ configFile: 'vite.config.ts', logLevel: 'warn' });
  const { origin, close } = await serveFiles(BUILT, async () => {});
  try {
    const models: DemoRow[] = [];
    let adapter = '';
    for (const [model, { name }] of shippedModels().entries()) {
      const visits: Visit[] = [];
      for (let run = 0; run < runs; run++) {
        visits.push(await visit(origin, { model, text: 'Tell me a story about a fox.', maxTokens, seed: 7 + run }));
        process.stderr.write(`${name}: visit ${run + 1} of ${runs}\n`);
      }
      adapter = visits[0]?.adapter ?? adapter;
      models.push({
        model: name,
        readyMs: visits.map(({ readyMs }) => readyMs),
        firstTokenMs: visits.map(({ firstTokenMs }) => firstTokenMs),
        decodeTps: visits.map(decodeRate),
      });
    }
    await print(options, { command: 'demo', cores: availableParallelism(), adapter, models }, showDemo);
  } finally {
    await close();
  }
}

/** Tokens a second after the first. */
function decodeRate({ tokenMs }: Visit): number {
  return ((tokenMs.length - 1) * 1000) / ((tokenMs.at(-1) ?? NaN) - (tokenMs[0] ?? NaN));
}

function showDemo({ cores, adapter, models }: DemoResult): string {
  const rows = models.map(({ model, readyMs, firstTokenMs, decodeTps }) => [model, median(readyMs).toFixed(0), median(firstTokenMs).toFixed(0), digits(median(decodeTps))]);
  return [`demo page, cold · ${adapter} · ${cores} cores · median of ${models[0]?.readyMs.length} visits`, '', table(['model', 'ready ms', 'first token ms', 'decode tok/s'], rows)].join('\n');
}
