// Runs in Deno: for each folder of a fixture on stdin, what its model computes otherwise than the reference, on stdout.
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { differences, readReference } from '../fixtures/reference.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { openGpu, openOn } from './open-on.ts';

const gpu = await openGpu(navigator.gpu);

async function problems(folder: string): Promise<string[]> {
  const { prompts, tensors } = readReference(folder);
  const { model, stray } = await openOn(gpu, new PathSource(join(folder, 'model.gguf')), { contextLength: 256 });
  const found: string[] = [];
  for (const [number, { ids, greedy, robust_tokens: robust }] of prompts.entries()) {
    for (const chunk of [ids.length, 7, 1]) {
      const different = differences(await model.evaluate(ids, { chunk }), tensors, number);
      found.push(...different.map((problem) => `prompt ${number} in passes of ${chunk}: ${problem}`));
    }
    const session = await model.createSession();
    const { ids: generated } = await session.generate({ promptIds: ids, maxTokens: greedy.length, stopIds: [] }, {});
    model.disposeSession(session);
    if (generated.slice(0, robust).join() !== greedy.slice(0, robust).join()) found.push(`greedy tokens of prompt ${number} are ${generated.join()}`);
  }
  model.dispose();
  return [...found, ...stray];
}

for await (const line of createInterface({ input: process.stdin })) {
  const folder: string = JSON.parse(line);
  const found = await problems(folder).catch((error: unknown) => [error instanceof Error ? (error.stack ?? error.message) : String(error)]);
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
