// Whole models in Deno's wgpu (Naga) on llvmpipe, compared with what Hugging Face transformers computes from the same files.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLlvmpipeIcd } from '../../../../scripts/firefox.mjs';
import { startDeno, type DenoProcess } from '../../../shaders/test/harness/deno-process.ts';
import { SUPPORTED_FAMILIES } from '../../src/model/families/index.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { readReference } from '../fixtures/reference.ts';

const missing = findLlvmpipeIcd() === undefined && process.env['CI'] !== 'true';
const title = missing ? "fixtures in Deno, skipped: Mesa's CPU Vulkan driver is not installed (Debian: mesa-vulkan-drivers)" : 'fixtures in Deno';

describe.skipIf(missing)(title, () => {
  let deno: DenoProcess<readonly string[]>;
  beforeAll(async () => {
    deno = await startDeno(join(import.meta.dirname, 'deno-guest.ts'));
  });
  afterAll(() => deno?.close());

  for (const { name, folder } of fixtures()) {
    if (!SUPPORTED_FAMILIES.includes(readReference(folder).arch)) continue;
    it(`${name}: every value and the greedy tokens agree`, async () => {
      expect(await deno.ask(folder)).toEqual([]);
    });
  }
});
