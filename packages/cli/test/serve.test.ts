// A room whose helper is a process of its own.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadInNode } from '@gatefold/runtime/node';
import { dawnGpu } from '../../shaders/test/harness/dawn.ts';
import { readReference } from '../../runtime/test/fixtures/reference.ts';
import { createConnection, openSocket, runRelay } from '../../runtime/test/mesh/rooms.ts';
import { webSocketSignalling } from '../../runtime/src/mesh/signalling/websocket.ts';
import { gatefold } from './cli.ts';

const FOLDER = join(import.meta.dirname, '../../runtime/test/fixtures/olmoe-q4_0');
const MODEL = join(FOLDER, 'model.gguf');

test('gatefold serve joins by a link, computes experts, and leaves on Ctrl-C', async () => {
  const [prompt] = readReference(FOLDER).prompts;
  if (!prompt) throw new Error('no prompt');
  const relay = await runRelay();
  const model = await loadInNode(MODEL, { contextLength: 128, gpuBudget: '50%' }, dawnGpu());
  let joined: (count: number) => void = () => {};
  const somebody = new Promise<number>((resolve) => (joined = resolve));
  const room = await model.mesh.open({ relay: relay.url, page: 'https://example.org/', signalling: webSocketSignalling(relay.url, openSocket), createConnection, onChange: ({ length }) => joined(length) });
  const work = (async () => {
    expect(await somebody).toBe(1);
    expect(room.peers).toMatchObject([{ name: 'helper', kind: 'node' }]);
    const session = await model.createSession();
    const generation = session.generate({ promptIds: prompt.ids, maxTokens: 4 });
    for (;;) {
      const next = await generation.next();
      if (next.done) return next.value;
    }
  })();
  const served = await gatefold(['serve', '--room', room.link, '--model', MODEL, '--context', '128', '--gpu-budget', '50%', '--name', 'helper'], { interrupt: 'SIGINT', interruptAfter: work });
  expect(served.stdout).toContain('serving');
  expect(served).toMatchObject({ code: 130, stderr: expect.stringContaining('cancelled') });
  const { ids, stats } = await work;
  expect(ids).toEqual(prompt.greedy.slice(0, 4));
  expect(stats.mesh?.remoteChoices).toBeGreaterThan(0);
  room.close();
  await model.dispose();
  await relay.close();
});
