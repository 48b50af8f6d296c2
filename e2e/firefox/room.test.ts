// A room of two browsers: Firefox computes experts for Chromium's answer, and the other way round.
import { join } from 'node:path';
import type { Page as ChromiumPage } from 'playwright';
import { expect, it, vi } from 'vitest';
import { launchChromium } from '../../packages/cli/src/hosts/job-page.ts';
import { openRelay } from '../../packages/cli/src/relay/open-relay.ts';
import { readReference } from '../../packages/runtime/test/fixtures/reference.ts';
import { chromiumArgs } from '../../scripts/browser.mjs';
import { serveApi } from '../pages/serve.ts';
import { describeFirefox, waitFor } from './firefox.ts';

const FIXTURE = 'olmoe-q4_0';
const [prompt] = readReference(join(import.meta.dirname, '../../packages/runtime/test/fixtures', FIXTURE)).prompts;
const LOAD = { contextLength: 64, gpuBudget: '50%', store: 'none' } as const;
const TOKENS = 8;

/** What both browsers' pages can do alike. */
interface AnyPage {
  evaluate<Given, Result>(run: (given: Given) => Result | Promise<Result>, given: Given): Promise<Result>;
}

describeFirefox('a room of Firefox and Chromium', serveApi, (pages) => {
  it('writes what one tab alone writes, whoever asks', async () => {
    const { browser: firefox, server } = pages();
    const relay = await openRelay();
    // Names in place of addresses are found by multicast, which not every machine lets through.
    const chromium = await launchChromium({ args: [...chromiumArgs(), '--disable-features=WebRtcHideLocalIpsWithMdns'] });
    try {
      const host: ChromiumPage = await chromium.newPage();
      await host.goto(server.url);
      const link = await host.evaluate(
        async ({ url, relay: at, load }) => {
          window.model = await window.gatefold.load(url, load);
          window.room = await window.model.mesh.open({ relay: at, modelUrl: url });
          return window.room.link;
        },
        { url: `${server.url}${FIXTURE}/model.gguf`, relay: relay.url, load: LOAD },
      );
      const guest = await firefox.newPage();
      await guest.goto(server.url);
      await waitFor(guest, () => 'mesh' in window);
      await guest.evaluate(async (given) => void Object.assign(window, await window.mesh.joinRoom(given.link, { load: given.load })), { link, load: LOAD });
      const expected = prompt?.greedy.slice(0, TOKENS);
      for (const page of [host, guest] as readonly AnyPage[]) {
        // The answer is the same from the first; how soon the other has its experts, and is in time, depends on the machine.
        const isHelped = async () => {
          const { ids, remoteChoices } = await generate(page);
          expect(ids).toEqual(expected);
          return remoteChoices > 0;
        };
        await vi.waitUntil(isHelped, { timeout: 120_000 });
      }
      await guest.close();
      expect((await generate(host)).ids).toEqual(expected);
    } finally {
      await chromium.close();
      relay.close();
    }
  });
});

function generate(page: AnyPage): Promise<{ readonly ids: readonly number[]; readonly remoteChoices: number }> {
  return page.evaluate(
    async (request) => {
      const session = await window.model.createSession();
      const generation = session.generate(request);
      for (;;) {
        const next = await generation.next();
        if (next.done) return { ids: next.value.ids, remoteChoices: next.value.stats.mesh?.remoteChoices ?? 0 };
      }
    },
    { promptIds: prompt?.ids ?? [], maxTokens: TOKENS, stopIds: [] },
  );
}
