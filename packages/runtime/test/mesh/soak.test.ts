// A room in which peers come, go, freeze, dawdle and lie at random while conversations are held: no wrong token, no leak.
// GATEFOLD_SOAK_SECONDS=1800 for half an hour; GATEFOLD_SEED to see a run again.
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { decodeFrame, encodeFrame } from '../../src/mesh/frames.ts';
import { MESH_DEFAULTS } from '../../src/mesh/mesh-options.ts';
import { readReference } from '../fixtures/reference.ts';
import { layerRanges, openRoom, roundRobin, type Tab, type TestRoom } from './room.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');
const SECONDS = Number(process.env['GATEFOLD_SOAK_SECONDS'] ?? 10);
const SEED = Number(process.env['GATEFOLD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

let state = SEED;
const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const pick = <T>(all: readonly T[]): T | undefined => all[Math.floor(random() * all.length)];

/** A prompt and what must follow. A prompt with the beginning of its answer is as good a prompt. */
function conversation(): { readonly promptIds: readonly number[]; readonly expected: readonly number[] } {
  const { ids, greedy, robust_tokens } = pick(readReference(FOLDER).prompts) ?? { ids: [], greedy: [], robust_tokens: 0 };
  const begun = Math.floor(random() * robust_tokens * 0.6);
  return { promptIds: [...ids, ...greedy.slice(0, begun)], expected: greedy.slice(begun, robust_tokens) };
}

/** What happens to a room, one thing at a time. */
class Trouble {
  #joined = 0;
  readonly #liars = new Set<string>();

  constructor(readonly room: TestRoom) {}

  next(): void {
    const { room } = this;
    const { mesh, model } = room.home;
    const name = pick(mesh.peers.names);
    const helper = pick(room.helpers);
    const [, atHelper] = room.links.get(name ?? '') ?? [];
    // What runs layers is not checked.
    const honest = mesh.peers.names.filter((peer) => !this.#liars.has(peer));
    const events = [
      () => name !== undefined && mesh.peers.get(name)?.close('killed'),
      () => helper && this.#join(helper),
      () => helper && this.#join(helper),
      () => atHelper && (atHelper.conditions.isFrozen = true),
      () => atHelper?.thaw(),
      () => atHelper && (atHelper.conditions.delayMs = random() * 200),
      () => helper && this.#lie(helper),
      () => (mesh.plan = roundRobin(model, mesh.peers.names, 1 + Math.floor(random() * 3))),
      () => honest.length > 0 && (mesh.plan = layerRanges(model, honest)),
    ];
    pick(events)?.();
  }

  /** Under a new name, since the old one may be banned. */
  #join(helper: Tab): string {
    const { names } = this.room.home.mesh.peers;
    if (names.length > 3) this.room.home.mesh.peers.get(names[0] ?? '')?.close('too many');
    const name = `${helper.name}${++this.#joined}`;
    this.room.join(helper, name);
    return name;
  }

  #lie(helper: Tab): void {
    const name = this.#join(helper);
    this.#liars.add(name);
    const [, atHelper] = this.room.links.get(name) ?? [];
    if (!atHelper) return;
    const wrong = pick([NaN, 1e3, 0]) ?? NaN;
    atHelper.conditions.corrupt = (bytes) => {
      const frame = decodeFrame(bytes, this.room.home.model.spec.hiddenSize);
      return frame.kind === 'answer' ? encodeFrame({ ...frame, rows: frame.rows.fill(wrong, 0, 3) }) : bytes;
    };
  }
}

it(`holds for ${SECONDS} s (seed ${SEED})`, { timeout: (SECONDS + 240) * 1000 }, async () => {
  // Every result is checked, so that a lie never comes through by luck.
  const room = await openRoom(FOLDER, { tabs: 3, replicas: 2, mesh: { ...MESH_DEFAULTS, checkShare: 1 } });
  const { model, mesh } = room.home;
  const trouble = new Trouble(room);
  const tabs = [room.home, ...room.helpers];
  const end = performance.now() + SECONDS * 1000;
  let answers = 0;
  const converse = async (): Promise<void> => {
    const session = await model.createSession();
    const { promptIds, expected } = conversation();
    const onToken = () => random() < 0.15 && trouble.next();
    const { ids } = await mesh.generate(session, { promptIds, maxTokens: expected.length, stopIds: [] }, { onToken: () => void onToken() });
    model.disposeSession(session);
    answers++;
    expect(ids, `answer ${answers}`).toEqual(expected);
  };
  // All scratch that is made at the first need is there after an answer in each of the ways.
  await Promise.all([converse(), converse()]);
  while (performance.now() < end) await Promise.all(Array.from({ length: 1 + Math.floor(random() * 3) }, converse));
  expect(room.stray).toEqual([]);
  for (const { mesh: node } of tabs) {
    const { buffers } = node.memory;
    node.dispose();
    expect(buffers).toBeGreaterThan(0);
    await vi.waitFor(() => expect(node.memory.buffers).toBe(0));
  }
  expect(model.memoryUse().kvBytes).toBe(0);
  room.dispose();
});
