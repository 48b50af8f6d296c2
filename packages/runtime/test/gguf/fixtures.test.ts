import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ggmlType } from '../../src/model/gguf/ggml-types.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { MemorySource } from './memory-source.ts';

describe('readGguf on models of every family', () => {
  it.each(fixtures())('$name', async ({ folder }) => {
    const bytes = new Uint8Array(readFileSync(join(folder, 'model.gguf')));
    const model = await readGguf(new MemorySource('model.gguf', bytes));
    expect(model.version).toBe(3);
    expect(model.metadata.get('general.architecture')).toBeTypeOf('string');
    const tokens = model.metadata.get('tokenizer.ggml.tokens');
    expect(Array.isArray(tokens) && tokens.length).toBe(model.tensors.get('token_embd.weight')?.shape[0]);
    let dataBytes = 0;
    for (const { name, type, shape, byteLength } of model.tensors.values()) {
      const { blockSize, blockBytes } = ggmlType(type) ?? expect.unreachable(name);
      expect(byteLength).toBe((shape.reduce((a, b) => a * b, 1) / blockSize) * blockBytes);
      dataBytes += Math.ceil(byteLength / 32) * 32;
    }
    // The writer packs tensors without gaps, so sizes and offsets are right exactly when they fill the file.
    const [file] = model.files;
    expect((file?.headerBytes ?? 0) + dataBytes).toBe(bytes.length);
  });
});
