import { GgufError, type GgufErrorCode } from '../../src/model/gguf/errors.ts';
import { readGguf } from '../../src/model/gguf/read.ts';
import type { GgufModel } from '../../src/model/gguf/types.ts';
import { expect } from 'vitest';
import { MemorySource } from './memory-source.ts';
import { writeGguf, type WrittenFile } from './write-gguf.ts';

/** Reads a file that the test wrote. */
export const read = (file: WrittenFile): Promise<GgufModel> => readGguf(new MemorySource('test.gguf', writeGguf(file).bytes));

/** The `GgufError` that bytes are refused with; its code must be the expected one. */
export async function refusalOf(file: WrittenFile | Uint8Array<ArrayBuffer>, code: GgufErrorCode): Promise<GgufError> {
  const bytes = file instanceof Uint8Array ? file : writeGguf(file).bytes;
  const error: unknown = await readGguf(new MemorySource('test.gguf', bytes)).then(
    () => expect.unreachable('the file was accepted'),
    (refusal: unknown) => refusal,
  );
  if (!(error instanceof GgufError)) throw error;
  expect(error.code, error.message).toBe(code);
  expect(error.file).toBe('test.gguf');
  expect(error.message).toContain('test.gguf');
  return error;
}
