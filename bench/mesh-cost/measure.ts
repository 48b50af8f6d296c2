import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobBrowser } from '../../packages/cli/src/hosts/job-page.ts';
import { Tab, type Answer } from '../mesh-soak/tab.ts';
import { median } from '../../packages/cli/src/numbers.ts';

const TOKENS = 24;
const MANY = 8;

export interface CostSetup {
  readonly browser: JobBrowser;
  /** A fixture with `model.gguf` and `reference.json`. */
  readonly folder: string;
  readonly relay: string;
  readonly runs: number;
  /** Milliseconds that are added. */
  readonly roundTrips: readonly number[];
}

export interface CostReport {
  readonly moeLayers: number;
  /** A token of a tab that holds all experts. */
  readonly soloMs: number;
  /** Eight conversations at that tab. */
  readonly soloTokensPerSecondOf8: number;
  readonly rows: readonly {
    readonly rtt: number;
    /** A round trip of the connection as its pings take, median: what is added and what it takes anyhow. */
    readonly pingMs: number | undefined;
    /** One conversation. */
    readonly tokenMs: number;
    readonly messagesPerToken: number;
    readonly tokensPerSecond: number;
    /** Eight conversations at the same tab. */
    readonly tokensPerSecondOf8: number;
  }[];
}

/** Medians of runs after one that warms up. */
export async function measureCost({ browser, folder, relay, runs, roundTrips }: CostSetup, emit: (message: string) => void): Promise<CostReport> {
  const { prompts, dims } = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as { readonly prompts: readonly { readonly ids: readonly number[] }[]; readonly dims: { readonly L: number } };
  const [prompt] = prompts;
  if (!prompt) throw new Error(`${folder} has no prompt`);
  const model = browser.server.urlOf(join(folder, 'model.gguf'));
  const answers = async (tab: Tab, conversations: number): Promise<Answer[][]> => {
    const all: Answer[][] = [];
    for (let run = 0; run <= runs; run++) {
      const answered = await Promise.all(Array.from({ length: conversations }, () => tab.answer(prompt.ids, TOKENS)));
      if (run > 0) all.push(answered);
    }
    return all;
  };
  const rate = (all: readonly Answer[][]) => median(all.map((answered) => (1000 * answered.length) / Math.max(...answered.map(({ tokenMs }) => tokenMs))));

  const alone = await Tab.open(browser, { model, gpuBudget: '100%' });
  const soloMs = median((await answers(alone, 1)).flat().map(({ tokenMs }) => tokenMs));
  const soloTokensPerSecondOf8 = rate(await answers(alone, MANY));
  await alone.close();
  emit(`alone: ${soloMs.toFixed(1)} ms a token, eight conversations ${soloTokensPerSecondOf8.toFixed(1)} tok/s`);
  const [home, other] = await Promise.all([Tab.open(browser, { model, gpuBudget: '60%' }), Tab.open(browser, { model, gpuBudget: '60%' })]);
  const rows: CostReport['rows'][number][] = [];
  for (const rtt of roundTrips) {
    const conditions = { rtt, jitter: 0, loss: 0 };
    await other.join(await home.openRoom(relay, conditions), conditions);
    const one = await answers(home, 1);
    const many = await answers(home, MANY);
    const pingMs = (await home.peers())[0]?.roundTripMs;
    await other.leave();
    await home.leave();
    rows.push({
      rtt,
      pingMs,
      tokenMs: median(one.flat().map(({ tokenMs }) => tokenMs)),
      messagesPerToken: median(one.flat().map(({ messagesPerToken }) => messagesPerToken)),
      tokensPerSecond: rate(one),
      tokensPerSecondOf8: rate(many),
    });
    emit(`${rtt} ms: ${JSON.stringify(rows.at(-1))}`);
  }
  return { moeLayers: dims.L, soloMs, soloTokensPerSecondOf8, rows };
}
