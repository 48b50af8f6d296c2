import { join } from 'node:path';
import { dawnGpu } from '../../../shaders/test/harness/dawn.ts';
import { requestGpu, type GpuDevice } from '../../src/engine/device.ts';
import { MeshExperts } from '../../src/engine/experts/mesh-experts.ts';
import { ExpertServer } from '../../src/engine/experts/expert-server.ts';
import { LoadedModel } from '../../src/engine/loaded-model.ts';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { MESH_DEFAULTS, type MeshOptions } from '../../src/mesh/mesh-options.ts';
import { Peers } from '../../src/mesh/peers.ts';
import { HOME, type ExpertsPlan } from '../../src/mesh/plan-types.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { openModel } from '../../src/shards/open-model.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { NO_STORE } from '../../src/shards/store/none.ts';
import { MemoryLink } from './memory-link.ts';

/** Long enough for kernels to be compiled on a CPU: nobody is stood in for unless a test wants it. */
export const PATIENT: MeshOptions = { ...MESH_DEFAULTS, hedge: { leastMs: 120_000, mostMs: 120_000 }, heartbeatMs: 60_000, seed: 1 };

interface Tab {
  readonly name: string;
  readonly model: LoadedModel;
  readonly mesh: MeshExperts;
  readonly server: ExpertServer;
}

/** Several tabs' models on one device, each with slots for a share of the experts. */
export interface TestRoom {
  readonly home: Tab;
  readonly helpers: readonly Tab[];
  /** By the helper's name: home's end and the helper's. */
  readonly links: ReadonlyMap<string, readonly [atHome: MemoryLink, atHelper: MemoryLink]>;
  /** GPU errors that nobody caught. */
  readonly stray: readonly string[];
  readonly bans: { readonly peer: string; readonly reason: string }[];
  dispose(): void;
}

export interface RoomOptions {
  readonly tabs: number;
  readonly mesh?: Partial<MeshOptions>;
  readonly contextLength?: number;
  readonly prefillChunk?: number;
  /** Share of its layers' experts that a tab has slots for. */
  readonly budget?: string;
}

/** A fixture's model in a room: expert e of each layer is at tab e mod tabs, the first of which is home. */
export async function openRoom(folder: string, { tabs, mesh = {}, budget = `${Math.floor(99 / tabs)}%`, ...load }: RoomOptions): Promise<TestRoom> {
  const gpu = await requestGpu(dawnGpu());
  const stray: string[] = [];
  gpu.device.addEventListener('uncapturederror', ({ error }) => stray.push(error.message));
  const options = { ...PATIENT, ...mesh };
  const bans: { readonly peer: string; readonly reason: string }[] = [];
  const open = async (name: string): Promise<Tab> => openTab(gpu, folder, name, { contextLength: 128, ...load, gpuBudget: budget }, options, bans);
  const home = await open('a');
  const helpers: Tab[] = [];
  for (let i = 1; i < tabs; i++) helpers.push(await open(String.fromCodePoint(97 + i)));
  const links = new Map<string, readonly [MemoryLink, MemoryLink]>();
  for (const helper of helpers) {
    const [atHome, atHelper] = MemoryLink.pair('a', helper.name);
    home.mesh.peers.add(atHome);
    helper.mesh.peers.add(atHelper);
    links.set(helper.name, [atHome, atHelper]);
  }
  home.mesh.plan = roundRobin(home.model, [HOME, ...helpers.map(({ name }) => name)]);
  return {
    home,
    helpers,
    links,
    stray,
    bans,
    dispose() {
      for (const { mesh: experts, model } of [home, ...helpers]) {
        experts.dispose();
        model.dispose();
      }
      gpu.device.destroy();
    },
  };
}

async function openTab(gpu: GpuDevice, folder: string, name: string, load: { contextLength: number; gpuBudget: string }, options: MeshOptions, bans: TestRoom['bans']): Promise<Tab> {
  const { gguf, loader } = await openModel(new PathSource(join(folder, 'model.gguf')), NO_STORE);
  const model = await LoadedModel.allocate(gpu, await specFromGguf(gguf), gguf, load);
  await loader.loadAll(loader.plan.shards.filter(({ kind }) => kind === 'trunk'), (shard, bytes) => model.upload(shard, bytes));
  await model.ready(loader);
  const { context, paged } = model;
  if (!paged) throw new Error('the model is not paged');
  let server: ExpertServer | undefined;
  const peers = new Peers(
    model.spec.hiddenSize,
    options,
    {
      answer: (request, peer) => server?.answer(request, peer) ?? Promise.reject(new Error('not ready')),
      forget: (peer, conversation) => server?.forget(peer, conversation),
    },
    { onBan: (peer, reason) => bans.push({ peer, reason }) },
  );
  const mesh = new MeshExperts(context, paged, peers);
  server = new ExpertServer(mesh.compute);
  context.paged = mesh;
  return { name, model, mesh, server };
}

/** Expert e at holder e mod their number; the next holder has a replica where one is wanted. */
export function roundRobin(model: LoadedModel, names: readonly string[], replicas = 1): ExpertsPlan {
  const at = (expert: number) => names[expert % names.length] ?? HOME;
  return {
    strategy: 'experts',
    version: 1,
    framesPerToken: 0,
    relays: new Map(),
    layers: moeLayers(model.spec).map(({ index, ffn }) => ({
      layer: index,
      holders: Array.from({ length: ffn.experts }, (_, expert) => Array.from({ length: replicas }, (__, copy) => at(expert + copy))),
    })),
  };
}
