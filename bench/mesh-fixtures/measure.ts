import { basename, join } from 'node:path';
import { readPrompts } from '../mesh-soak/prompts.ts';
import { NO_CONDITIONS, Tab, type Answer } from '../mesh-soak/tab.ts';
import type { RoomHost } from '../mesh-soak/with-room.ts';

const SIZES = [2, 3, 5] as const;
/** What a tab has beyond its share of the experts; replicas take it. */
const SPARE = 1.2;

export interface RoomRow {
  readonly fixture: string;
  readonly tabs: number;
  /** Greedy tokens that were compared, of all prompts, and whether all were the reference's. */
  readonly tokens: number;
  readonly isRight: boolean;
  /** Of all experts, how many the tab holds that holds most. */
  readonly largestShare: number;
  /** Choices of experts that peers computed, and their share of all. */
  readonly remoteChoices: number;
  readonly remoteShare: number;
  readonly longestStallMs: number;
}

/** Greedy answers over the robust prefix of every prompt in rooms of 2, 3 and 5; fixtures without experts are left out. */
export async function measureRooms(host: RoomHost, folders: readonly string[], emit: (message: string) => void): Promise<readonly RoomRow[]> {
  const rows: RoomRow[] = [];
  for (const folder of folders) {
    try {
      rows.push(...(await roomsOf(host, folder, emit)));
    } catch (error) {
      throw new Error(`${basename(folder)}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return rows;
}

async function roomsOf({ browser, relay }: RoomHost, folder: string, emit: (message: string) => void): Promise<readonly RoomRow[]> {
  const fixture = basename(folder);
  const prompts = readPrompts(folder);
  const setup = { model: browser.server.urlOf(join(folder, 'model.gguf')), gpuBudget: `${Math.ceil((100 * SPARE) / SIZES[0])}%`, contextLength: 256 };
  const home = await Tab.open(browser, setup);
  const tabs = [home];
  const rows: RoomRow[] = [];
  const expertBytes = await home.expertBytes();
  try {
    for (const size of expertBytes > 0 ? SIZES : []) {
      while (tabs.length < size) tabs.push(await Tab.open(browser, setup));
      // Slots are as many as the smallest room needs; the plan keeps to this.
      const memoryBytes = Math.ceil((expertBytes * SIZES[0]) / size);
      const link = await home.openRoom(relay, NO_CONDITIONS, memoryBytes);
      for (const tab of tabs.slice(1)) await tab.join(link, NO_CONDITIONS, memoryBytes);
      await home.full(size - 1);
      const largestShare = mostHeld(await home.holders());
      const answers: Answer[] = [];
      for (const { ids, robust_tokens } of prompts) answers.push(await home.answer(ids, robust_tokens));
      for (const tab of tabs.toReversed()) await tab.leave();
      await home.alone();
      const sum = (of: (answer: (typeof answers)[number]) => number) => answers.reduce((all, answer) => all + of(answer), 0);
      rows.push({
        fixture,
        tabs: size,
        tokens: sum(({ ids }) => ids.length),
        isRight: prompts.every(({ greedy, robust_tokens }, i) => answers[i]?.ids.join() === greedy.slice(0, robust_tokens).join()),
        largestShare,
        remoteChoices: sum(({ remoteChoices }) => remoteChoices),
        remoteShare: sum(({ remoteChoices }) => remoteChoices) / sum(({ choices }) => choices),
        longestStallMs: Math.max(...answers.map(({ longestStallMs }) => longestStallMs)),
      });
      emit(JSON.stringify(rows.at(-1)));
    }
  } finally {
    for (const tab of tabs) await tab.close();
  }
  return rows;
}

/** Share of all experts at who holds most of them. @param holders by MoE layer and expert; what nobody is named for is home's */
function mostHeld(holders: readonly (readonly (readonly string[])[])[]): number {
  const counts = new Map<string, number>();
  for (const names of holders.flat()) for (const name of names.length > 0 ? names : ['home']) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Math.max(0, ...counts.values()) / Math.max(1, holders.flat().length);
}
