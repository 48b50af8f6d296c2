import { VALUE, type MetadataValue } from './metadata.ts';

export interface HeaderTensor {
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** ggml type number. */
  readonly type: number;
  /** From the start of the data section. */
  readonly offset: number;
}

/** Data starts, and each tensor starts, at a multiple of this. */
export const ALIGNMENT = 32;

/** The header of a GGUF v3 file, padded to where its data starts. */
export function encodeHeader(metadata: ReadonlyMap<string, MetadataValue>, tensors: readonly HeaderTensor[]): Buffer {
  const parts: Buffer[] = [];
  const u32 = (value: number) => parts.push(number(4, (buffer) => buffer.writeUInt32LE(value)));
  const u64 = (value: number) => parts.push(number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value))));
  const string = (value: string) => {
    const bytes = Buffer.from(value, 'utf8');
    u64(bytes.length);
    parts.push(bytes);
  };

  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(metadata.size);
  for (const [key, entry] of metadata) {
    string(key);
    u32(entry.type);
    switch (entry.type) {
      case VALUE.string:
        string(entry.value);
        break;
      case VALUE.bool:
        parts.push(Buffer.from([entry.value ? 1 : 0]));
        break;
      case VALUE.array:
        u32(entry.of);
        u64(entry.value.length);
        if (entry.of === VALUE.string) entry.value.forEach(string);
        else entry.value.forEach((value) => parts.push(number(4, (buffer) => buffer.writeInt32LE(value))));
        break;
      default:
        parts.push(number(4, (buffer) => (entry.type === VALUE.f32 ? buffer.writeFloatLE(entry.value) : buffer.writeUInt32LE(entry.value))));
    }
  }
  for (const { name, shape, type, offset } of tensors) {
    string(name);
    u32(shape.length);
    // GGUF has the innermost dimension first.
    shape.toReversed().forEach(u64);
    u32(type);
    u64(offset);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(-header.length & (ALIGNMENT - 1))]);
}

function number(bytes: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(bytes);
  write(buffer);
  return buffer;
}
