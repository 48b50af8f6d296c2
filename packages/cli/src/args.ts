import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { PromptInput } from './job/types.ts';

/** The command line is wrong; the message says what, and what is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Options as given, by their long names. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

const COMMON = {
  host: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

const MODEL = {
  model: { type: 'string', short: 'm' },
  context: { type: 'string' },
  'prefill-chunk': { type: 'string' },
  'bare-kernels': { type: 'boolean' },
  precision: { type: 'string' },
  'max-binding': { type: 'string' },
  'gpu-budget': { type: 'string' },
  'host-budget': { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

const INPUT = {
  prompt: { type: 'string', short: 'p' },
  ids: { type: 'string' },
  chat: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

/** Options of each command. */
const COMMANDS = {
  generate: {
    ...COMMON,
    ...MODEL,
    ...INPUT,
    'max-tokens': { type: 'string', short: 'n' },
    temperature: { type: 'string' },
    'top-k': { type: 'string' },
    'top-p': { type: 'string' },
    'min-p': { type: 'string' },
    'repeat-penalty': { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'string' },
    'mesh-peers': { type: 'string' },
    rtt: { type: 'string' },
    jitter: { type: 'string' },
    loss: { type: 'string' },
    strategy: { type: 'string' },
    wire: { type: 'string' },
    'check-share': { type: 'string' },
    'kill-peer-at': { type: 'string' },
    'corrupt-peer': { type: 'string' },
  },
  eval: { ...COMMON, ...MODEL, ...INPUT, out: { type: 'string', short: 'o' }, chunk: { type: 'string' } },
  bench: {
    ...COMMON,
    ...MODEL,
    'prompt-tokens': { type: 'string' },
    'gen-tokens': { type: 'string' },
    runs: { type: 'string' },
    profile: { type: 'boolean' },
    sessions: { type: 'string' },
  },
  doctor: COMMON,
  manifest: { json: COMMON.json, help: COMMON.help, model: MODEL.model, out: { type: 'string', short: 'o' }, trace: { type: 'string' } },
  verify: { json: COMMON.json, help: COMMON.help, model: MODEL.model },
  relay: { ...COMMON, port: { type: 'string' } },
  serve: { json: COMMON.json, help: COMMON.help, ...MODEL, room: { type: 'string' }, name: { type: 'string' }, stun: { type: 'string' } },
} as const satisfies Record<string, ParseArgsConfig['options']>;

export type CommandName = keyof typeof COMMANDS;

export const USAGE = `gatefold: Mixture-of-Experts language models on WebGPU

  gatefold generate --model PATH|URL (--prompt TEXT | --ids 1,2,3 | --chat TEXT) [--max-tokens 256]
                    [--temperature 0] [--top-k K] [--top-p P] [--min-p P] [--repeat-penalty R] [--seed S] [--trace FILE.json] [--json]
                    [--mesh-peers N [--rtt MS] [--jitter MS] [--loss SHARE] [--strategy experts|layers|auto] [--wire f32|f16|int8]
                     [--check-share SHARE] [--kill-peer-at TOKEN] [--corrupt-peer SHARE]]
  gatefold eval     --model PATH|URL (--ids 1,2,3 | --prompt TEXT | --chat TEXT) --out FILE.safetensors [--chunk N] [--json]
  gatefold bench    --model PATH|URL [--prompt-tokens 512] [--gen-tokens 128] [--runs 3] [--profile [--sessions 1]] [--json]
  gatefold doctor   [--json]
  gatefold manifest MODEL.gguf [--out FILE.json] [--trace FILE.json] [--json]
  gatefold verify   MODEL.gguf [--json]
  gatefold relay    [--port 8787] [--host 127.0.0.1] [--json]
  gatefold serve    --room LINK [--model PATH|URL] [--name NAME] [--stun stun:HOST:PORT] [--json]

  generate   text to the terminal as it comes; with --json the last line of stdout is one JSON object; --trace writes
             which experts each token used; --mesh-peers N runs it in a room of N tabs of one browser, connected by WebRTC, each
             with room for a part of the experts (--gpu-budget: for how many), over links made worse by --rtt, --jitter
             and --loss; one of the others is closed at a token, or falsifies a share of its results
  eval       everything that the model computes for a prompt, as safetensors
  bench      prefill and decode rates: medians of the runs, after one that warms up; --profile instead: where the time of a
             token after --prompt-tokens goes, stage by stage, beside what its bytes and dispatches take at least, and of a
             pass of several sessions
  manifest   writes MODEL.gguf.gatefold.json: what each shard (an expert, a piece of the rest) is and its SHA-256, and with
             --trace how often it is used; put beside the model on a server it is used to check what is downloaded
  verify     reads a model whole and compares it with its manifest
  relay      lets tabs find each other for a room; what they compute does not pass through it. --host 0.0.0.0 for other devices
  serve      joins a room by its link and computes experts for it, in Node, until Ctrl-C; --model where the link names none
  doctor     adapter, features, limits and storage, and what will be slow and why

Those that run a model, and doctor, take [--host chromium|node]: headless Chromium (the default), or Node over Dawn. Those that run one take
[--context N] positions of the KV cache, [--prefill-chunk N] tokens a pass, [--bare-kernels] f32 without subgroups,
[--precision f16|f32] of a prompt's products and the KV cache, [--max-binding BYTES] as of a small adapter,
[--gpu-budget 2GB|50%] of GPU memory for weights: bytes, or the share of the experts that is resident at a time; others
come when they are asked for, from [--host-budget 4GB|100%] of memory where they were before. Of a split model give any
part.
A GPU is used where there is one; GATEFOLD_GPU=software takes the CPU. CHROME_PATH names the browser, CHROME_ARGS its flags.
Exit status: 0, 1 where the job failed, 2 where the command line is wrong; 130 after Ctrl-C.
`;

/** @returns the command and its options; throws `UsageError`. */
export function parseCommand(argv: readonly string[]): { readonly command: CommandName | 'help'; readonly options: Options } {
  const [name, ...args] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return { command: 'help', options: {} };
  if (!isCommand(name)) throw new UsageError(`There is no command "${name}"; there are ${Object.keys(COMMANDS).join(', ')}.`);
  const config: ParseArgsConfig = { args, options: COMMANDS[name], strict: true, allowPositionals: name === 'manifest' || name === 'verify' };
  try {
    // No option may be given several times, so there are no arrays.
    const { values, positionals } = parseArgs(config);
    if (positionals.length > 1) throw new Error(`one model at a time, not ${positionals.length}`);
    const options: Options = { ...(values as Options), ...(positionals.length > 0 ? { model: positionals[0] } : {}) };
    return { command: options['help'] ? 'help' : name, options };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

export function text(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

export function requiredText(options: Options, name: string): string {
  const value = text(options, name);
  if (value === undefined || value === '') throw new UsageError(`--${name} is missing.`);
  return value;
}

export function number(options: Options, name: string): number | undefined {
  const value = text(options, name);
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isFinite(parsed)) throw new UsageError(`--${name} is "${value}", but must be a number.`);
  return parsed;
}

/** A whole number of at least `least`. */
export function count(options: Options, name: string, least = 0): number | undefined {
  const value = number(options, name);
  if (value !== undefined && (!Number.isSafeInteger(value) || value < least)) {
    throw new UsageError(`--${name} is ${text(options, name)}, but must be a whole number of at least ${least}.`);
  }
  return value;
}

/** Exactly one of --prompt, --ids and --chat. */
export function promptInput(options: Options): PromptInput {
  const given = (['prompt', 'ids', 'chat'] as const).filter((name) => text(options, name) !== undefined);
  const [kind] = given;
  if (given.length !== 1 || kind === undefined) throw new UsageError('Give exactly one of --prompt, --ids and --chat.');
  const value = text(options, kind) ?? '';
  if (kind !== 'ids') return { kind, text: value };
  const ids = value.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : NaN));
  if (!ids.every(Number.isSafeInteger)) throw new UsageError(`--ids is "${value}", but must be token ids with commas between, like 1,2,3.`);
  return { kind: 'ids', ids };
}

/** Leaves out what was not given, so that defaults apply further down. */
export function defined<T extends Readonly<Record<string, unknown>>>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** What a prompt's matrix products may be rounded to. Throws `UsageError`. */
export function precision(options: Options): 'f16' | 'f32' | undefined {
  const given = options['precision'];
  if (given === undefined || given === 'f16' || given === 'f32') return given;
  throw new UsageError(`--precision is "${String(given)}", but must be f16 or f32.`);
}
