import { count, defined, number, text, UsageError, type Options } from '../args.ts';
import type { GenerateJob } from '../job/types.ts';

/** Each tab gets room for its share of the experts and a fifth more, which replicas take. */
const SPARE = 1.2;
const STRATEGIES = ['experts', 'layers', 'auto'] as const;
const WIRES = ['f32', 'f16', 'int8'] as const;
/** They say something of a room. */
const NEED_ROOM = ['rtt', 'jitter', 'loss', 'strategy', 'wire', 'check-share', 'kill-peer-at', 'corrupt-peer'] as const;

/** The room that a generation runs in: none without --mesh-peers. Throws `UsageError`. */
export function roomOptions(options: Options): Pick<GenerateJob, 'room' | 'gpuBudget'> {
  const tabs = count(options, 'mesh-peers', 2);
  const alone = NEED_ROOM.find((name) => options[name] !== undefined);
  if (tabs === undefined && alone !== undefined) throw new UsageError(`--${alone} needs --mesh-peers.`);
  if (tabs === undefined) return {};
  if (text(options, 'host') === 'node') throw new UsageError('--mesh-peers runs tabs of a browser: leave --host node out.');
  const room = defined({
    tabs,
    conditions: defined({ rtt: atLeastZero(options, 'rtt'), jitter: atLeastZero(options, 'jitter'), loss: share(options, 'loss') }),
    strategy: oneOf(options, 'strategy', STRATEGIES),
    wire: oneOf(options, 'wire', WIRES),
    checkShare: share(options, 'check-share'),
    killAt: count(options, 'kill-peer-at', 1),
    corruptShare: share(options, 'corrupt-peer'),
  });
  const memoryShare = Math.min(1, SPARE / tabs);
  // Whole layers need slots for all of their experts; memory is then kept to by what the plan gives to each tab.
  if (room.strategy === 'layers' || room.strategy === 'auto') return { room: { tabs, conditions: {}, memoryShare, ...room }, gpuBudget: '100%' };
  return { room: { tabs, conditions: {}, ...room }, gpuBudget: `${Math.ceil(100 * memoryShare)}%` };
}

function atLeastZero(options: Options, name: string): number | undefined {
  const value = number(options, name);
  if (value !== undefined && value < 0) throw new UsageError(`--${name} is ${value}, but must not be below 0.`);
  return value;
}

function share(options: Options, name: string): number | undefined {
  const value = number(options, name);
  if (value !== undefined && !(value >= 0 && value <= 1)) throw new UsageError(`--${name} is ${value}, but must be from 0 to 1.`);
  return value;
}

function oneOf<T extends string>(options: Options, name: string, values: readonly T[]): T | undefined {
  const given = text(options, name);
  const value = values.find((each) => each === given);
  if (given !== undefined && value === undefined) throw new UsageError(`--${name} is "${given}", but must be ${values.join(', ')}.`);
  return value;
}
