// Two tabs run a model together over WebRTC; they find each other by the relay that `npm start` runs.
import { join } from 'node:path';
import { expect, test, type Page } from 'playwright/test';
import { readReference } from '../packages/runtime/test/fixtures/reference.ts';
import { serveApi, type ServedPages } from './pages/serve.ts';

const FIXTURE = 'olmoe-q4_0';
const [prompt] = readReference(join(import.meta.dirname, '../packages/runtime/test/fixtures', FIXTURE)).prompts;
const TOKENS = 8;

let pages: ServedPages;
test.beforeAll(async () => {
  pages = await serveApi();
});
test.afterAll(() => pages.close());

const LOAD = { contextLength: 64, gpuBudget: '50%', store: 'none' } as const;

/** A page that counts the channels that go to its worker. */
async function visit(page: Page): Promise<void> {
  await page.addInitScript(() => {
    window.movedChannels = 0;
    const post = MessagePort.prototype.postMessage;
    MessagePort.prototype.postMessage = function (message: unknown, transfer?: Transferable[] | StructuredSerializeOptions) {
      if (message instanceof RTCDataChannel) window.movedChannels++;
      return Reflect.apply(post, this, [message, transfer]);
    };
  });
  await page.goto(pages.url);
}

/** Timers as a page has them that has long been in the background: none goes off within the minute. */
async function throttle(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const { setTimeout, setInterval } = window;
    const later = (set: typeof setTimeout | typeof setInterval) => (handler: TimerHandler, ms = 0) => set(handler, Math.max(ms, 60_000));
    Object.assign(window, { setTimeout: later(setTimeout), setInterval: later(setInterval) });
  });
}

function generate(page: Page, promptIds: readonly number[]) {
  return page.evaluate(
    async ({ ids, maxTokens }) => {
      const session = await window.model.createSession();
      const generation = session.generate({ promptIds: ids, maxTokens, stopIds: [] });
      for (;;) {
        const next = await generation.next();
        if (next.done) return { ids: next.value.ids, mesh: next.value.stats.mesh };
      }
    },
    { ids: promptIds, maxTokens: TOKENS },
  );
}

test("a second tab joins by the link and computes experts, though the host's is in the background; when it closes, the answer goes on", async ({ context, baseURL }) => {
  const [host, guest] = [await context.newPage(), await context.newPage()];
  await throttle(host);
  await Promise.all([visit(host), visit(guest)]);
  const link = await host.evaluate(
    async ({ url, relay, load }) => {
      window.model = await window.gatefold.load(url, load);
      window.room = await window.model.mesh.open({ relay, modelUrl: url });
      return window.room.link;
    },
    { url: `${pages.url}${FIXTURE}/model.gguf`, relay: `${baseURL?.replace('http', 'ws')}/gatefold-relay`, load: LOAD },
  );
  expect(link).toContain('#room=');
  await guest.evaluate(async (given) => {
    Object.assign(window, await window.mesh.joinRoom(given.link, { load: given.load }));
  }, { link, load: LOAD });
  await expect.poll(() => host.evaluate(() => window.room.peers)).toMatchObject([{ kind: 'page' }]);
  for (const page of [host, guest]) await expect.poll(() => page.evaluate(() => window.movedChannels)).toBe(1);

  const robust = Math.min(TOKENS, prompt?.robust_tokens ?? 0);
  const expected = prompt?.greedy.slice(0, robust);
  for (const page of [host, guest]) {
    // The answer is the same from the first; how soon the other has its experts, and is in time, depends on the machine.
    await expect
      .poll(async () => {
        const { ids, mesh } = await generate(page, prompt?.ids ?? []);
        expect(ids.slice(0, robust)).toEqual(expected);
        return mesh?.remoteChoices;
      })
      .toBeGreaterThan(0);
  }

  await guest.close();
  const alone = await generate(host, prompt?.ids ?? []);
  expect(alone.ids.slice(0, robust)).toEqual(expected);
});
