import { join } from 'node:path';
import { readPrompts } from '../mesh-soak/prompts.ts';
import { NO_CONDITIONS, Tab } from '../mesh-soak/tab.ts';
import type { RoomHost } from '../mesh-soak/with-room.ts';

const TOKENS = 40;
/** The token after which it happens, and from there on every tenth where one goes after the other. */
const AT = 10;
/** Longer than anybody waits, and shorter than an answer may take. */
const FREEZE_MS = 3000;
/** More than the hedge time: by so much one is late. */
const LATE_MS = 700;

export interface StallRow {
  readonly failure: string;
  readonly tabs: number;
  /** The longest layer step in which somebody failed, whole. */
  readonly longestStallMs: number;
  /** The longest wait for a token, and the middle one of the same tab when it has all experts to itself. */
  readonly longestTokenMs: number;
  readonly tokenMs: number;
  readonly resends: number;
  readonly failovers: number;
  readonly remoteChoices: number;
  readonly isRight: boolean;
}

interface Scene {
  readonly failure: string;
  readonly helpers: number;
  readonly onToken: (count: number, helpers: readonly Tab[]) => void;
}

const kill = (tab: Tab | undefined) => void tab?.close();

const SCENES: readonly Scene[] = [
  { failure: 'none', helpers: 2, onToken: () => {} },
  { failure: 'one is closed at every tenth token', helpers: 3, onToken: (count, helpers) => count % AT === 0 && kill(helpers[count / AT - 1]) },
  { failure: 'all are closed at once', helpers: 2, onToken: (count, helpers) => count === AT && helpers.forEach(kill) },
  { failure: 'one freezes', helpers: 2, onToken: (count, helpers) => count === AT && helpers[0]?.freeze(FREEZE_MS) },
  { failure: 'all freeze', helpers: 2, onToken: (count, helpers) => count === AT && helpers.forEach((helper) => helper.freeze(FREEZE_MS)) },
  { failure: `at every tenth token one is late by up to ${LATE_MS} ms`, helpers: 2, onToken: (count, helpers) => count % AT === 0 && helpers[(count / AT) % 2]?.freeze(LATE_MS) },
];

/** An answer in a room for each way to fail. @param folder a fixture with `model.gguf` and `reference.json` */
export async function measureStalls({ browser, relay }: RoomHost, folder: string, emit: (message: string) => void): Promise<readonly StallRow[]> {
  const [prompt] = readPrompts(folder);
  if (!prompt) throw new Error(`${folder} has no prompt`);
  const setup = { model: browser.server.urlOf(join(folder, 'model.gguf')), gpuBudget: '60%' };
  const home = await Tab.open(browser, setup);
  const alone = await home.answer(prompt.ids, TOKENS);
  const rows: StallRow[] = [];
  for (const { failure, helpers: count, onToken } of SCENES) {
    const link = await home.openRoom(relay);
    const helpers: Tab[] = [];
    for (let i = 0; i < count; i++) {
      const helper = await Tab.open(browser, setup);
      await helper.join(link, NO_CONDITIONS);
      helpers.push(helper);
    }
    // Kernels are compiled, and experts come, with the first answer.
    await home.answer(prompt.ids, TOKENS);
    home.onToken = (token) => void onToken(token, helpers);
    const { ids, longestStallMs, longestTokenMs, resends, failovers, remoteChoices } = await home.answer(prompt.ids, TOKENS);
    home.onToken = () => {};
    rows.push({ failure, tabs: count + 1, longestStallMs, longestTokenMs, resends, failovers, remoteChoices, tokenMs: alone.tokenMs, isRight: ids.join() === alone.ids.join() });
    emit(JSON.stringify(rows.at(-1)));
    await home.leave();
    for (const helper of helpers) await helper.close().catch(() => {});
  }
  return rows;
}
