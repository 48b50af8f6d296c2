import { transferHandlers, type TransferHandler } from 'comlink';

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

/** Classes of errors, by the names under which they are thrown. */
export type ErrorClasses = ReadonlyMap<string, unknown>;

/**
 * Lets errors cross comlink's ports with their names and fields. Both sides must have called it.
 * @param classes that an error gets back on this side; the worker's side throws them and needs none
 */
export function carryErrors(classes: ErrorClasses = new Map()): void {
  const handler: TransferHandler<Thrown, PortThrown> = {
    canHandle: (value): value is Thrown => comlinksHandler?.canHandle(value) ?? false,
    serialize: ({ value }) => [value instanceof Error ? { error: packError(value) } : { value }, []],
    deserialize: (sent) => {
      throw 'error' in sent ? unpackError(sent.error, classes) : sent.value;
    },
  };
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

function unpackError({ name, message, stack, fields }: PortError, classes: ErrorClasses): Error {
  const error = new Error(message);
  const type = classes.get(name);
  if (typeof type === 'function' && type.prototype instanceof Error) Object.setPrototypeOf(error, type.prototype);
  for (const [key, value] of Object.entries({ name, stack, ...fields })) {
    Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: key !== 'stack' && key !== 'cause' });
  }
  return error;
}
