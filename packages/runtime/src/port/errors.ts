import { transferHandlers, type TransferHandler } from 'comlink';
import * as engine from '../engine/errors.ts';
import { GatefoldError } from '../errors.ts';
import * as families from '../model/families/errors.ts';
import * as gguf from '../model/gguf/errors.ts';
import * as tokenizer from '../model/tokenizer/errors.ts';
import * as residency from '../residency/errors.ts';
import * as paging from '../residency/paging-errors.ts';
import * as shards from '../shards/errors.ts';
import * as manifest from '../shards/manifest/errors.ts';
import * as worker from '../worker/errors.ts';

/** Classes that an error can get back on the other side, by the names under which they are thrown. */
const CLASSES: ReadonlyMap<string, unknown> = new Map(Object.entries({ GatefoldError, ...engine, ...families, ...gguf, ...tokenizer, ...residency, ...paging, ...shards, ...manifest, ...worker }));

/** An error as it lies in a message: structured clone keeps the fields of no class. */
interface PortError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Fields of its class, and its cause. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What comlink wraps a thrown value in. */
interface Thrown {
  readonly value: unknown;
}

type PortThrown = { readonly error: PortError } | Thrown;

const comlinksHandler = transferHandlers.get('throw');

const handler: TransferHandler<Thrown, PortThrown> = {
  canHandle: (value): value is Thrown => comlinksHandler?.canHandle(value) ?? false,
  serialize: ({ value }) => [value instanceof Error ? { error: packError(value) } : { value }, []],
  deserialize: (sent) => {
    throw 'error' in sent ? unpackError(sent.error) : sent.value;
  },
};

/** Lets errors cross comlink's ports as what they are. Both sides must have called it. */
export function carryErrors(): void {
  transferHandlers.set('throw', handler);
}

function packError(error: Error): PortError {
  const fields: Record<string, unknown> = {};
  for (const [key, value] of [...Object.entries(error), ['cause', error.cause] as const]) {
    const sent = value instanceof Error ? String(value) : value;
    if (sent !== undefined && isCloneable(sent)) fields[key] = sent;
  }
  return { name: error.name, message: error.message, stack: error.stack, fields };
}

/** GPU objects, for one, cannot leave their thread. */
function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

function unpackError({ name, message, stack, fields }: PortError): Error {
  const error = new Error(message);
  const type = CLASSES.get(name);
  if (typeof type === 'function' && type.prototype instanceof Error) Object.setPrototypeOf(error, type.prototype);
  for (const [key, value] of Object.entries({ name, stack, ...fields })) {
    Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: key !== 'stack' && key !== 'cause' });
  }
  return error;
}
