import type { MeshModel, MeshPeer, MeshRoom } from './room.ts';

/** The peer of this number. */
export function peerAt(room: MeshRoom, peer: number): MeshPeer {
  const found = room.peers[peer];
  if (!found) throw new RangeError(`The room has ${room.peers.length} peers, and none of number ${peer}.`);
  return found;
}

/** Milliseconds on the way from one peer to another and back, bytes aside. */
export function roundTripMs({ latencyMs }: MeshRoom, from: number, to: number): number {
  return from === to ? 0 : (latencyMs[from]?.[to] ?? 0) + (latencyMs[to]?.[from] ?? 0);
}

/**
 * Milliseconds from a frame's leaving to its answer's coming: the way there and back, and at the other side two frames,
 * the rows in and out, and the experts' work. What the asking side itself takes is not in it, since all its frames share that.
 * @param rows tokens in the frame
 * @param work experts to compute, each for one token
 */
export function legMs(model: MeshModel, room: MeshRoom, from: number, to: number, rows: number, work: number): number {
  const { frameMs, expertMs, upBytesPerMs, downBytesPerMs } = peerAt(room, to);
  if (from === to) return work * expertMs;
  const bytes = rows * model.rowBytes;
  return roundTripMs(room, from, to) + 2 * frameMs + bytes / upBytesPerMs + bytes / downBytesPerMs + work * expertMs;
}

/** Milliseconds of one row's way from one peer to another. */
export function hopMs(model: MeshModel, room: MeshRoom, from: number, to: number): number {
  const [sender, receiver] = [peerAt(room, from), peerAt(room, to)];
  return (room.latencyMs[from]?.[to] ?? 0) + sender.frameMs + receiver.frameMs + model.rowBytes / sender.upBytesPerMs + model.rowBytes / receiver.downBytesPerMs;
}

/** Milliseconds for which one side is busy with its own frames: the line out, the line in and the handling run beside each other. */
export function busyMs(model: MeshModel, room: MeshRoom, self: number, frames: number, rows: number): number {
  const { frameMs, upBytesPerMs, downBytesPerMs } = peerAt(room, self);
  return Math.max(2 * frames * frameMs, (rows * model.rowBytes) / Math.min(upBytesPerMs, downBytesPerMs));
}

/** [tab][peer]: what one row and one expert cost the tab at each peer; the measure of how near a peer is. */
export function nearness(model: MeshModel, room: MeshRoom): number[][] {
  return room.peers.map((_, from) => room.peers.map((_peer, to) => legMs(model, room, from, to, 1, 1) + (from === to ? 0 : busyMs(model, room, from, 1, 1))));
}
