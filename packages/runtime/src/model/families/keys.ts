import type { GgufModel, GgufValue } from '../gguf/types.ts';
import { ModelMetadataError } from './errors.ts';

/** Bounds on a number; a value outside is refused. */
interface Range {
  readonly min: number;
  readonly max: number;
}

/** Typed, bounded reads of a model's metadata. Keys come without the `{arch}.` prefix. */
export class ModelKeys {
  constructor(
    readonly model: GgufModel,
    /** GGUF `general.architecture`. */
    readonly arch: string,
  ) {}

  has(key: string): boolean {
    return this.model.metadata.has(`${this.arch}.${key}`);
  }

  /** An integer in the range. Without `fallback` the key must be there. */
  int(key: string, range: Range, fallback?: number): number {
    const found = this.#number(key, fallback);
    return this.#checked(key, found, range, Number.isInteger(found));
  }

  /** A finite number in the range. Without `fallback` the key must be there. */
  float(key: string, range: Range, fallback?: number): number {
    const found = this.#number(key, fallback);
    return this.#checked(key, found, range, Number.isFinite(found));
  }

  /** One integer for each of `layers`: the same for all, or from an array of at least as many. */
  perLayer(key: string, range: Range, layers: number, fallback?: number): readonly number[] {
    const found = this.#get(key);
    if (found === undefined || !isArray(found)) {
      const same = this.int(key, range, fallback);
      return Array.from({ length: layers }, () => same);
    }
    if (found.length < layers) this.refuse(key, `has ${found.length} values for ${layers} layers`, found.length);
    return Array.from({ length: layers }, (_, layer) => {
      const value = found[layer];
      return typeof value === 'number' ? this.#checked(key, value, range, Number.isInteger(value)) : this.refuse(key, 'is no array of numbers');
    });
  }

  bool(key: string, fallback: boolean): boolean {
    const found = this.#get(key) ?? fallback;
    return typeof found === 'boolean' ? found : this.refuse(key, 'is no boolean');
  }

  string(key: string, fallback: string): string {
    const found = this.#get(key) ?? fallback;
    return typeof found === 'string' ? found : this.refuse(key, 'is no string');
  }

  /** Length of an array outside the family's own keys, e.g. `tokenizer.ggml.tokens`; undefined where there is none. */
  arrayLength(fullKey: string): number | undefined {
    const found = this.model.metadata.get(fullKey);
    return found !== undefined && isArray(found) ? found.length : undefined;
  }

  /** Throws `ModelMetadataError` naming the full key. */
  refuse(key: string, problem: string, value?: number | string): never {
    throw new ModelMetadataError(this.#name(key), problem, value);
  }

  #name(key: string): string {
    return `${this.arch}.${key}`;
  }

  #get(key: string): GgufValue | undefined {
    return this.model.metadata.get(this.#name(key));
  }

  #number(key: string, fallback: number | undefined): number {
    const found = this.#get(key) ?? fallback;
    if (found === undefined) return this.refuse(key, 'is missing');
    return typeof found === 'number' ? found : this.refuse(key, 'is no number of a sensible size');
  }

  #checked(key: string, value: number, { min, max }: Range, wellFormed: boolean): number {
    if (wellFormed && value >= min && value <= max) return value;
    return this.refuse(key, `is ${value}, outside ${min} to ${max}`, value);
  }
}

function isArray(value: GgufValue): value is GgufValue[] | ArrayLike<number> {
  return typeof value === 'object';
}
