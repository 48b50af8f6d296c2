import { expose, wrap, type Endpoint } from 'comlink';
import { afterEach, expect, test } from 'vitest';
import { DeviceLostError, LoadOptionError, NanLogitsError } from '../../src/engine/errors.ts';
import { LimitError } from '../../src/residency/errors.ts';
import { GatefoldError } from '../../src/errors.ts';
import { UnsupportedFamilyError } from '../../src/model/families/errors.ts';
import { GgufError } from '../../src/model/gguf/errors.ts';
import { ERROR_CLASSES } from '../../src/port/error-classes.ts';
import { carryErrors } from '../../src/port/errors.ts';
import { ShardHashError, SourceError } from '../../src/shards/errors.ts';

carryErrors(ERROR_CLASSES);

const channels: MessageChannel[] = [];

afterEach(() => {
  for (const { port1 } of channels.splice(0)) port1.close();
});

/** The value that arrives when `thrown` is thrown on the other side of a port. */
async function across(thrown: unknown): Promise<unknown> {
  const channel = new MessageChannel();
  channels.push(channel);
  const service = {
    fail: async (): Promise<void> => {
      throw thrown;
    },
  };
  expose(service, channel.port2 as unknown as Endpoint);
  const remote = wrap<typeof service>(channel.port1 as unknown as Endpoint);
  channel.port1.start();
  return remote.fail().then(
    () => undefined,
    (error: unknown) => error,
  );
}

test.each([
  new DeviceLostError('sleep'),
  new LimitError('maxBufferSize', 2, 1, 'a tensor'),
  new NanLogitsError(7),
  new SourceError('source-missing', 'https://host.test/a.gguf', 'there is no such file', 404),
  new ShardHashError('layer.0.trunk', 'https://host.test/a.gguf', 'aa', 'bb', 'first fetch'),
  new GgufError('gguf-limit', 'a.gguf', 'tensor count', 'is too large', { offset: 8, limit: 10, value: 11n }),
  new UnsupportedFamilyError('gpt9', ['llama']),
  new LoadOptionError('contextLength', -1, 'a positive whole number'),
  new GatefoldError('some-code', 'a message', { a: 1 }),
])('$name crosses as itself', async (error) => {
  const arrived = await across(error);
  expect(arrived).toBeInstanceOf(error.constructor);
  expect(arrived).toBeInstanceOf(GatefoldError);
  expect(arrived).not.toBe(error);
  expect({ ...(arrived as GatefoldError) }).toEqual({ ...error });
  expect(arrived).toMatchObject({ message: error.message, name: error.name, stack: error.stack });
});

test('other errors keep name, message and fields', async () => {
  const error = Object.assign(new RangeError('too far'), { limit: 5 });
  const arrived = await across(error);
  expect(arrived).toBeInstanceOf(Error);
  expect(arrived).toMatchObject({ name: 'RangeError', message: 'too far', limit: 5 });
});

test('fields that cannot leave their thread stay behind; a cause is told by its text', async () => {
  const cause = new Error('socket closed');
  const error = Object.assign(new Error('broken', { cause }), { callback: () => {}, kept: [1] });
  const arrived = await across(error);
  expect(arrived).toMatchObject({ message: 'broken', kept: [1], cause: 'Error: socket closed' });
  expect(arrived).not.toHaveProperty('callback');
});

test('values that are no errors are thrown as they are', async () => {
  expect(await across('just text')).toBe('just text');
});
