import { join } from 'node:path';
import type { JobBrowser } from '../../packages/cli/src/hosts/job-page.ts';
import { Random } from '../synth/random.ts';
import { readPrompts } from './prompts.ts';
import { Tab, type Footprint } from './tab.ts';

const MAX_TOKENS = 24;
const MOST_HELPERS = 3;
const MOST_CONVERSATIONS = 3;
/** The heap may be so much larger at the end: pages keep what they have compiled. */
const HEAP_SLACK_BYTES = 2e6;

export interface SoakSetup {
  readonly browser: JobBrowser;
  /** A fixture with `model.gguf` and `reference.json`. */
  readonly folder: string;
  readonly relay: string;
  readonly minutes: number;
  readonly seed: number;
}

export interface SoakReport {
  readonly seed: number;
  readonly minutes: number;
  readonly rounds: number;
  readonly answers: number;
  readonly tokens: number;
  readonly joins: number;
  readonly leaves: number;
  /** Tabs that were closed while answers were under way. */
  readonly kills: number;
  readonly remoteChoices: number;
  readonly failovers: number;
  /** The tab with the conversations, alone: when a third of the time had passed, and at the end. */
  readonly first: Footprint;
  readonly last: Footprint;
  /** What went wrong; empty if nothing did. */
  readonly faults: readonly string[];
}

/** Lives through rounds: helpers join over bad links, conversations run beside each other, helpers leave or are closed meanwhile. */
export async function soak({ browser, folder, relay, minutes, seed }: SoakSetup, emit: (message: string) => void): Promise<SoakReport> {
  const random = new Random(seed);
  const prompts = readPrompts(folder);
  const setup = { model: browser.server.urlOf(join(folder, 'model.gguf')), gpuBudget: '60%' };
  const home = await Tab.open(browser, setup);
  const link = await home.openRoom(relay);
  const count = { rounds: 0, answers: 0, tokens: 0, joins: 0, leaves: 0, kills: 0, remoteChoices: 0, failovers: 0 };
  const faults: string[] = [];
  const idle: Tab[] = [];
  const begun = performance.now();
  let first: Footprint | undefined;
  let last: Footprint;

  const converse = async () => {
    const prompt = prompts[random.int(prompts.length)];
    if (!prompt) throw new Error('the fixture has no prompts');
    const most = Math.min(MAX_TOKENS, prompt.robust_tokens);
    // The first round is as large as any, so that what is made once is made then.
    const length = count.rounds === 1 ? most : 1 + random.int(most);
    const { ids, remoteChoices, failovers } = await home.answer(prompt.ids, length);
    if (ids.join() !== prompt.greedy.slice(0, length).join()) faults.push(`round ${count.rounds}: tokens ${ids.join()} instead of ${prompt.greedy.slice(0, length).join()}`);
    count.answers++;
    count.tokens += ids.length;
    count.remoteChoices += remoteChoices;
    count.failovers += failovers;
  };
  const enter = async (): Promise<Tab> => {
    const tab = idle.pop() ?? (await Tab.open(browser, setup));
    await tab.join(link, { rtt: random.int(30), jitter: random.int(4), loss: random.uniform() / 50 });
    count.joins++;
    return tab;
  };
  const goAway = async (tab: Tab): Promise<void> => {
    if (random.uniform() < 0.3) {
      count.kills++;
      return tab.close();
    }
    await tab.leave();
    count.leaves++;
    idle.push(tab);
  };

  do {
    count.rounds++;
    const helpers = [await enter()];
    const conversations = Array.from({ length: count.rounds === 1 ? MOST_CONVERSATIONS : 1 + random.int(MOST_CONVERSATIONS) }, converse);
    while (helpers.length < 1 + random.int(MOST_HELPERS)) helpers.push(await enter());
    if (random.uniform() < 0.5) await Promise.all(conversations);
    await Promise.all(helpers.map(goAway));
    await Promise.all(conversations);
    await home.alone().catch(() => faults.push(`round ${count.rounds}: connections stay open though nobody is there`));
    last = await home.footprint();
    if (performance.now() - begun > (minutes * 60_000) / 3) first ??= last;
    emit(`round ${count.rounds}: ${count.answers} answers, ${count.joins} joins, ${JSON.stringify(last)}`);
  } while (performance.now() - begun < minutes * 60_000);
  first ??= last;

  if (last.gpuBuffers > first.gpuBuffers || last.gpuBytes > first.gpuBytes) faults.push(`GPU memory grew from ${first.gpuBytes} bytes in ${first.gpuBuffers} buffers to ${last.gpuBytes} in ${last.gpuBuffers}`);
  if (last.heapBytes > first.heapBytes + HEAP_SLACK_BYTES) faults.push(`the page's heap grew from ${first.heapBytes} bytes to ${last.heapBytes}`);
  return { seed, minutes: (performance.now() - begun) / 60_000, ...count, first, last, faults };
}
