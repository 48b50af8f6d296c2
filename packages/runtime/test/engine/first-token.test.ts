// What a first token costs of a model that is on a server, on Node's Dawn.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SHAPES } from '../../../../bench/synth/shapes.ts';
import { writeModel } from '../../../../bench/synth/write-model.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import { planShards } from '../../src/shards/plan.ts';
import { HttpSource } from '../../src/shards/sources/http.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import { FileServer } from '../shards/file-server.ts';
import { freshIndexedDb } from '../shards/fresh-indexeddb.ts';
import { openSource } from './open-fixture.ts';

/** OLMoE-1B-7B in all but its widths. */
const SHAPE = { ...SHAPES['olmoe-1b-7b'], hidden: 128, heads: 2, kvHeads: 2, headDim: 64, expertWidth: 128, vocab: 1024 };

const folder = mkdtempSync(join(tmpdir(), 'gatefold-first-token-'));
const path = join(folder, 'model.gguf');
const server = new FileServer();
let url: string;
beforeAll(async () => {
  writeModel(path, 'first token', SHAPE, 'q4_0');
  server.files.set('/model.gguf', new Uint8Array(readFileSync(path)));
  url = `${await server.start()}/model.gguf`;
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await server.stop();
});

it('of 64 experts, top 8, in 16 layers: the trunk, the experts routed to, and at most 2% beside them, header included', async () => {
  freshIndexedDb();
  const plan = await planShards(await readGguf(new PathSource(path)));
  const bytesOf = (isWanted: (id: string) => boolean) => plan.shards.reduce((sum, { id, byteLength }) => sum + (isWanted(id) ? byteLength : 0), 0);
  const { model, stray } = await openSource(new HttpSource(url), { contextLength: 32, prefillChunk: 8, gpuBudget: '100%' }, new IndexedDbStore());
  const session = await model.createSession();
  const prompt = [17, 300, 5];
  const routed = new Set<string>();
  await session.generate({ promptIds: prompt, maxTokens: 1, stopIds: [] }, {});
  const { sent } = server;
  for (const [layer, { ids }] of Object.entries(await routes(model, prompt))) for (const expert of ids) routed.add(`layer.${layer}.expert.${expert}`);
  model.dispose();
  const trunk = bytesOf((id) => !id.includes('expert'));
  const experts = bytesOf((id) => routed.has(id));
  console.log(`${sent} bytes sent: trunk ${trunk}, experts routed to ${experts}, beside them ${((sent / (trunk + experts) - 1) * 100).toFixed(2)}%; the file has ${server.files.get('/model.gguf')?.length}`);
  expect(routed.size).toBeGreaterThanOrEqual(16 * 8);
  expect(sent).toBeLessThanOrEqual(1.02 * (trunk + experts));
  expect(stray).toEqual([]);
});

/** Which experts each layer chose for these tokens. */
async function routes(model: Awaited<ReturnType<typeof openSource>>['model'], ids: readonly number[]): Promise<Readonly<Record<string, { readonly ids: ReadonlySet<number> }>>> {
  const tensors = await model.evaluate(ids);
  return Object.fromEntries(Array.from({ length: SHAPE.layers }, (_, layer) => [layer, { ids: new Set(tensors[`moe.${layer}.ids`]?.data) }]));
}
