import { join as joinPath } from 'node:path';
import { MeshNode } from '../../src/engine/experts/mesh-node.ts';
import { LoadedModel } from '../../src/engine/loaded-model.ts';
import { moeLayers } from '../../src/engine/session-buffers.ts';
import { MESH_DEFAULTS, type MeshOptions } from '../../src/mesh/mesh-options.ts';
import type { RoomNews } from '../../src/mesh/peer.ts';
import type { PeersEvents } from '../../src/mesh/peers.ts';
import { HOME, type ExpertsPlan, type LayersPlan } from '../../src/mesh/plan-types.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { openModel } from '../../src/shards/open-model.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { NO_STORE } from '../../src/shards/store/none.ts';
import { sharedGpu } from '../engine/open-fixture.ts';
import type { TestGpu } from '../engine/open-on.ts';
import { MemoryLink } from './memory-link.ts';

/** Long enough for kernels to be compiled on a CPU: nobody is stood in for unless a test wants it. */
export const PATIENT: MeshOptions = { ...MESH_DEFAULTS, hedge: { leastMs: 120_000, mostMs: 120_000 }, seed: 1 };

export interface Tab {
  readonly name: string;
  readonly model: LoadedModel;
  readonly mesh: MeshNode;
}

/** Several tabs' models on one device, each with slots for a share of the experts. */
export interface TestRoom {
  readonly home: Tab;
  readonly helpers: readonly Tab[];
  /** By the helper's name: home's end of its latest link, and its own. */
  readonly links: ReadonlyMap<string, readonly [atHome: MemoryLink, atHelper: MemoryLink]>;
  /** Connects a helper, again or under another name, and plans with those that are there. */
  join(helper: Tab, name?: string): void;
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
  /** What a tab hears of the others' plans. */
  readonly onNews?: (tab: string, from: string, news: RoomNews) => void;
  /** Holders of each expert; default 1. */
  readonly replicas?: number;
}

/** A fixture's model in a room: expert e of each layer is at tab e mod tabs, the first of which is home. */
export async function openRoom(folder: string, { tabs, mesh = {}, budget = `${Math.floor(99 / tabs)}%`, replicas = 1, onNews, ...load }: RoomOptions): Promise<TestRoom> {
  const gpu = await sharedGpu();
  const options = { ...PATIENT, ...mesh };
  const bans: { readonly peer: string; readonly reason: string }[] = [];
  const open = async (name: string): Promise<Tab> => openTab(gpu, folder, name, { contextLength: 128, ...load, gpuBudget: budget }, options, { onBan: (peer, reason) => bans.push({ peer, reason }), onNews: (from, news) => onNews?.(name, from, news) });
  const home = await open('a');
  const helpers: Tab[] = [];
  for (let i = 1; i < tabs; i++) helpers.push(await open(String.fromCodePoint(97 + i)));
  const links = new Map<string, readonly [MemoryLink, MemoryLink]>();
  const join = (helper: Tab, name = helper.name): void => {
    const [atHome, atHelper] = MemoryLink.pair('a', name);
    home.mesh.peers.add(atHome);
    helper.mesh.peers.add(atHelper);
    links.set(name, [atHome, atHelper]);
    home.mesh.plan = roundRobin(home.model, home.mesh.peers.names, replicas);
  };
  for (const helper of helpers) join(helper);
  return {
    join,
    home,
    helpers,
    links,
    stray: gpu.stray,
    bans,
    dispose() {
      for (const { mesh: node, model } of [home, ...helpers]) {
        node.dispose();
        model.dispose();
      }
    },
  };
}

async function openTab(gpu: TestGpu, folder: string, name: string, load: { contextLength: number; gpuBudget: string }, options: MeshOptions, events: PeersEvents): Promise<Tab> {
  const { gguf, loader } = await openModel(new PathSource(joinPath(folder, 'model.gguf')), NO_STORE);
  const model = await LoadedModel.allocate(gpu, await specFromGguf(gguf), gguf, load, gpu.shaders);
  await loader.loadAll(loader.plan.shards.filter(({ kind }) => kind === 'trunk'), (shard, bytes) => model.upload(shard, bytes));
  await model.prepare(loader);
  await model.ready();
  const mesh = await MeshNode.open(model, loader, options, events);
  return { name, model, mesh };
}

/** Expert e at home or the peer that e mod their number gives; the next peers have replicas where they are wanted. */
export function roundRobin(model: LoadedModel, peers: readonly string[], replicas = 1): ExpertsPlan {
  const holders = (expert: number): string[] => {
    const place = expert % (peers.length + 1);
    return place === 0 ? [HOME] : Array.from({ length: Math.min(replicas, peers.length) }, (_, copy) => peers[(place - 1 + copy) % peers.length] ?? HOME);
  };
  return {
    strategy: 'experts',
    version: 1,
    messagesPerToken: 0,
    relays: new Map(),
    layers: moeLayers(model.spec).map(({ index, ffn }) => ({ layer: index, holders: Array.from({ length: ffn.experts }, (_, expert) => holders(expert)) })),
  };
}

/** All of the model's layers at peers, in ranges of about one size: one chain. */
export function layerRanges(model: LoadedModel, peers: readonly string[]): LayersPlan {
  const count = model.spec.layers.length;
  const at = (i: number) => Math.round((i * count) / peers.length);
  const ranges = peers.map((peer, i) => ({ peer, first: at(i), end: at(i + 1) }));
  return { strategy: 'layers', version: 1, messagesPerToken: ranges.length + 1, ranges };
}
