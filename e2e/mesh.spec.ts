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

/** Loads the model in a tab, with slots for half of the experts. */
async function load(page: Page): Promise<void> {
  // Counts the channels that go to the worker.
  await page.addInitScript(() => {
    window.movedChannels = 0;
    const post = MessagePort.prototype.postMessage;
    MessagePort.prototype.postMessage = function (message: unknown, transfer?: Transferable[] | StructuredSerializeOptions) {
      if (message instanceof RTCDataChannel) window.movedChannels++;
      return Reflect.apply(post, this, [message, transfer]);
    };
  });
  await page.goto(pages.url);
  await page.evaluate(async (url) => {
    window.model = await window.gatefold.load(url, { contextLength: 64, gpuBudget: '50%', store: 'none' });
  }, `${pages.url}${FIXTURE}/model.gguf`);
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

test('a second tab joins by the link and computes experts; when it closes, the answer goes on', async ({ context, baseURL }) => {
  const [host, guest] = [await context.newPage(), await context.newPage()];
  await Promise.all([load(host), load(guest)]);
  const relay = `${baseURL?.replace('http', 'ws')}/gatefold-relay`;
  const link = await host.evaluate(async (url) => {
    window.room = await window.model.mesh.open({ relay: url });
    return window.room.link;
  }, relay);
  expect(link).toContain('#room=');
  await guest.evaluate(async (url) => {
    window.room = await window.model.mesh.join(url);
  }, link);
  const peers = await host.evaluate(() => window.room.peers);
  expect(peers).toMatchObject([{ kind: 'page' }]);
  for (const page of [host, guest]) expect(await page.evaluate(() => window.movedChannels)).toBe(1);

  const together = await generate(host, prompt?.ids ?? []);
  const robust = Math.min(TOKENS, prompt?.robust_tokens ?? 0);
  expect(together.ids.slice(0, robust)).toEqual(prompt?.greedy.slice(0, robust));
  expect(together.mesh?.remoteChoices).toBeGreaterThan(0);
  const back = await generate(guest, prompt?.ids ?? []);
  expect(back.ids).toEqual(together.ids);
  expect(back.mesh?.remoteChoices).toBeGreaterThan(0);

  await guest.close();
  const alone = await generate(host, prompt?.ids ?? []);
  expect(alone.ids).toEqual(together.ids);
});
