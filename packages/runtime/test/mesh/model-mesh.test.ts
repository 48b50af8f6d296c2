// Models that work together over real WebRTC: the public API, from opening a room to the answer.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dawnGpu } from '../../../shaders/test/harness/dawn.ts';
import type { Model, TokenEvent } from '../../src/api/types.ts';
import { webSocketSignalling } from '../../src/mesh/signalling/websocket.ts';
import { loadInNode } from '../../src/node.ts';
import { readReference } from '../fixtures/reference.ts';
import { createConnection, openSocket, runRelay, type RunningRelay } from './rooms.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');

let relay: RunningRelay;
beforeAll(async () => {
  relay = await runRelay();
});
afterAll(() => relay.close());

const open = (gpuBudget?: string): Promise<Model> => loadInNode(join(FOLDER, 'model.gguf'), { contextLength: 128, ...(gpuBudget ? { gpuBudget } : {}) }, dawnGpu());
const inNode = () => ({ signalling: webSocketSignalling(relay.url, openSocket), createConnection });

async function generate(model: Model, promptIds: readonly number[], maxTokens: number) {
  const session = await model.createSession();
  const tokens: TokenEvent[] = [];
  const generation = session.generate({ promptIds, maxTokens });
  for (;;) {
    const next = await generation.next();
    if (next.done) return { result: next.value, tokens };
    tokens.push(next.value);
  }
}

test('two models share the experts, and the tokens are those of a solo run, with a peer and after it has left', async () => {
  const [prompt] = readReference(FOLDER).prompts;
  if (!prompt) throw new Error('no prompt');
  const [host, guest] = [await open('50%'), await open('50%')];
  const room = await host.mesh.open({ relay: relay.url, page: 'https://example.org/', ...inNode() });
  const joined = await guest.mesh.join(room.link, inNode());
  expect(joined.peers).toMatchObject([{ peer: room.self, kind: 'node', modelId: host.info.modelId }]);
  expect(joined.peers[0]?.memoryBytes).toBeGreaterThan(0);

  const count = Math.min(8, prompt.robust_tokens);
  const both = await generate(host, prompt.ids, count);
  expect(both.result.ids.slice(0, prompt.robust_tokens)).toEqual(prompt.greedy.slice(0, count));
  expect(both.result.stats.mesh?.remoteChoices).toBeGreaterThan(0);
  const state = await room.state();
  expect(new Set(state.holders.flat(2))).toEqual(new Set(['home', joined.self]));

  joined.close();
  const alone = await generate(host, prompt.ids, count);
  expect(alone.result.ids).toEqual(both.result.ids);
  room.close();
  await Promise.all([host.dispose(), guest.dispose()]);
});

test('a tab with another model is told which one the room has', async () => {
  const host = await open();
  const room = await host.mesh.open({ relay: relay.url, page: 'https://example.org/', modelUrl: 'https://example.org/model.gguf', ...inNode() });
  const other = await loadInNode(join(FOLDER, '../qwen3moe-q4_k_m/model.gguf'), { contextLength: 128 }, dawnGpu());
  await expect(other.mesh.join(room.link, inNode())).rejects.toMatchObject({ code: 'mesh-model', wanted: host.info.modelId, url: 'https://example.org/model.gguf' });
  room.close();
  await Promise.all([host.dispose(), other.dispose()]);
});
