// Rooms of several tabs on one Dawn device, over links in memory: the tokens of a tab that has the model for itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { generateInMesh } from '../../src/engine/experts/mesh-answer.ts';
import { readReference } from '../fixtures/reference.ts';
import { openRoom, type TestRoom } from './room.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/olmoe-q4_0');

describe('a room of three', () => {
  let room: TestRoom;
  beforeAll(async () => {
    room = await openRoom(FOLDER, { tabs: 3 });
  });
  afterAll(() => room?.dispose());

  it('writes what one tab writes', async () => {
    const { prompts } = readReference(FOLDER);
    for (const { ids, greedy, robust_tokens } of prompts) {
      const session = await room.home.model.createSession();
      const outcome = await generateInMesh(room.home.mesh, session, { promptIds: ids, maxTokens: robust_tokens, stopIds: [] }, {});
      expect(outcome.ids).toEqual(greedy.slice(0, robust_tokens));
      room.home.model.disposeSession(session);
    }
    expect(room.stray).toEqual([]);
    expect(room.bans).toEqual([]);
  });
});
