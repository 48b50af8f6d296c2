/** GGUF value types by their numbers. */
export const T = { u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12 } as const;

/** What the writer can write: numbers for all number types, and arrays as `[element type, values]`. */
type Written = number | bigint | boolean | string | Uint8Array | WrittenArray;
export interface WrittenArray {
  readonly type: number;
  readonly values: readonly Written[];
  /** Count that the file claims; the true one by default. */
  readonly count?: bigint;
}

export interface WrittenPair {
  readonly key: string | Uint8Array;
  readonly type: number;
  readonly value: Written;
}

export interface WrittenTensor {
  readonly name: string;
  /** Innermost dimension first, as in the file. */
  readonly ne: readonly (number | bigint)[];
  readonly type: number;
  /** Offset in the data section; by default after the tensor before. */
  readonly offset?: number | bigint;
  /** The data, or how many zeros. */
  readonly data: Uint8Array | number;
}

export interface WrittenFile {
  readonly version?: number;
  readonly pairs?: readonly WrittenPair[];
  readonly tensors?: readonly WrittenTensor[];
  /** Counts that the header claims; the true ones by default. */
  readonly tensorCount?: bigint;
  readonly pairCount?: bigint;
  readonly alignment?: number;
  /** Overrides for lengths of strings that are written, by the string. */
  readonly lengths?: ReadonlyMap<string, bigint>;
}

/** Where a field of the written file lies, for tests that damage one. */
export interface Field {
  readonly kind: 'magic' | 'version' | 'count' | 'length' | 'text' | 'type' | 'value' | 'dimensions' | 'ne' | 'offset';
  readonly at: number;
  readonly bytes: number;
}

/** A GGUF file with nothing checked, so that it can be a hostile one, and where its fields lie. */
export function writeGguf(file: WrittenFile): { readonly bytes: Uint8Array<ArrayBuffer>; readonly fields: readonly Field[] } {
  const { version = 3, pairs = [], tensors = [], alignment = 32 } = file;
  const out = new Writer(file.lengths ?? new Map());
  out.field('magic', 4, () => out.raw(new TextEncoder().encode('GGUF')));
  out.u32('version', version);
  out.u64('count', file.tensorCount ?? BigInt(tensors.length));
  out.u64('count', file.pairCount ?? BigInt(pairs.length));
  for (const { key, type, value } of pairs) {
    out.string(key);
    out.u32('type', type);
    out.value(type, value);
  }
  let next = 0;
  const placed = tensors.map((tensor) => {
    const size = typeof tensor.data === 'number' ? tensor.data : tensor.data.length;
    const start = next;
    next = pad(start + size, alignment);
    return { ...tensor, start };
  });
  for (const { name, ne, type, offset, start } of placed) {
    out.string(name);
    out.u32('dimensions', ne.length);
    for (const size of ne) out.u64('ne', BigInt(size));
    out.u32('type', type);
    out.u64('offset', BigInt(offset ?? start));
  }
  for (const { data } of placed) {
    out.padTo(alignment);
    out.raw(typeof data === 'number' ? new Uint8Array(data) : data);
  }
  return { bytes: out.bytes(), fields: out.fields };
}

const pad = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** A growing little-endian buffer. */
class Writer {
  readonly fields: Field[] = [];
  #bytes = new Uint8Array(1024);
  #length = 0;

  constructor(readonly lengths: ReadonlyMap<string, bigint>) {}

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  field(kind: Field['kind'], bytes: number, write: () => void): void {
    this.fields.push({ kind, at: this.#length, bytes });
    write();
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  padTo(alignment: number): void {
    this.raw(new Uint8Array(pad(this.#length, alignment) - this.#length));
  }

  u32(kind: Field['kind'], value: number): void {
    this.field(kind, 4, () => this.#set(4, (view) => view.setUint32(0, value, true)));
  }

  u64(kind: Field['kind'], value: bigint): void {
    this.field(kind, 8, () => this.#set(8, (view) => view.setBigUint64(0, BigInt.asUintN(64, value), true)));
  }

  string(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    const claimed = typeof text === 'string' ? this.lengths.get(text) : undefined;
    this.u64('length', claimed ?? BigInt(bytes.length));
    this.field('text', bytes.length, () => this.raw(bytes));
  }

  value(type: number, value: Written): void {
    if (typeof value === 'string' || value instanceof Uint8Array) return this.string(value);
    if (typeof value === 'object') {
      this.u32('type', value.type);
      this.u64('count', value.count ?? BigInt(value.values.length));
      for (const element of value.values) this.value(value.type, element);
      return;
    }
    const bytes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][type] ?? 4;
    this.field('value', bytes, () => this.#set(bytes, (view) => setNumber(view, type, bytes, value)));
  }

  #set(bytes: number, write: (view: DataView) => void): void {
    this.#room(bytes);
    write(new DataView(this.#bytes.buffer, this.#length, bytes));
    this.#length += bytes;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function setNumber(view: DataView, type: number, bytes: number, value: number | bigint | boolean): void {
  if (type === T.f32) view.setFloat32(0, Number(value), true);
  else if (type === T.f64) view.setFloat64(0, Number(value), true);
  else if (bytes === 8) view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
  else if (bytes === 4) view.setUint32(0, Number(value), true);
  else if (bytes === 2) view.setUint16(0, Number(value), true);
  else view.setUint8(0, Number(value));
}
