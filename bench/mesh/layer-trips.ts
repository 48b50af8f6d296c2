import type { LayerRange } from '../../packages/runtime/src/mesh/plan-types.ts';
import type { MeshModel } from '../../packages/runtime/src/mesh/planner/room.ts';
import { chainsOf } from '../../packages/runtime/src/mesh/route.ts';
import type { Machine, Network } from './network.ts';

/** One token of one conversation: home's own layers, and from peer to peer through the others. */
export async function runLayers(model: MeshModel, network: Network, home: Machine, ranges: readonly LayerRange[]): Promise<void> {
  let next = 0;
  for (const chain of chainsOf(ranges)) {
    await compute(model, network, home, next, chain[0]?.first ?? next);
    let at = home;
    for (const { peer, first, end } of chain) {
      const to = network.byName.get(peer);
      if (!to) throw new Error(`there is no peer ${peer}`);
      await network.send(at, to, model.rowBytes);
      await compute(model, network, to, first, end);
      [at, next] = [to, end];
    }
    await network.send(at, home, model.rowBytes);
  }
  await compute(model, network, home, next, model.layerCount);
}

async function compute({ moeLayers, topK }: MeshModel, { clock }: Network, { gpu, peer }: Machine, first: number, end: number): Promise<void> {
  const moe = moeLayers.filter(({ layer }) => first <= layer && layer < end).length;
  if (end > first) await clock.until(gpu.take(clock.now, (end - first) * peer.trunkLayerMs + moe * topK * peer.expertMs));
}
