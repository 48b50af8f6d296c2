import { RequestError } from './errors.ts';

interface Range {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

/** Reads an untyped object field by field, so that in the end what nobody asked for is known. `null` is as good as missing. */
export class RequestFields {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #asked = new Set<string>();

  /** @param path name of the object, where it is part of a request: `messages[0]` */
  constructor(
    object: unknown,
    readonly path = '',
  ) {
    if (typeof object !== 'object' || object === null || Array.isArray(object)) throw new RequestError(path || 'the request', 'must be an object');
    this.#values = new Map(Object.entries(object));
  }

  get(field: string): unknown {
    this.#asked.add(field);
    return this.#values.get(field) ?? undefined;
  }

  number(field: string, { min, max, whole = false }: Range): number | undefined {
    const value = this.get(field);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    return this.refuse(field, `must be a ${whole ? 'whole number' : 'number'} from ${min} to ${max}`);
  }

  boolean(field: string): boolean | undefined {
    const value = this.get(field);
    return value === undefined || typeof value === 'boolean' ? value : this.refuse(field, 'must be true or false');
  }

  string(field: string): string | undefined {
    const value = this.get(field);
    return value === undefined || typeof value === 'string' ? value : this.refuse(field, 'must be a string');
  }

  object(field: string): RequestFields | undefined {
    const value = this.get(field);
    return value === undefined ? undefined : new RequestFields(value, this.#name(field));
  }

  /** A field of which only one value can be served. */
  only(field: string, served: unknown, why: string): void {
    const value = this.get(field);
    if (value !== undefined && value !== served) this.refuse(field, `can only be ${String(served)} here: ${why}`);
  }

  /** Throws `RequestError` for a field with a value that was not asked for. */
  end(): void {
    for (const [field, value] of this.#values) {
      if (value !== undefined && value !== null && !this.#asked.has(field)) this.refuse(field, 'is not supported');
    }
  }

  refuse(field: string, problem: string): never {
    throw new RequestError(this.#name(field), problem);
  }

  #name(field: string): string {
    return this.path ? `${this.path}.${field}` : field;
  }
}
