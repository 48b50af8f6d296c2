import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError, type Options } from '../../packages/cli/src/args.ts';

const MODEL = {
  model: { type: 'string', short: 'm' },
  host: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  'bare-kernels': { type: 'boolean' },
  precision: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

/** Options of each command. */
const COMMANDS = {
  compare: {
    ...MODEL,
    'prompt-tokens': { type: 'string' },
    'gen-tokens': { type: 'string' },
    runs: { type: 'string' },
    sessions: { type: 'string' },
    'prefill-chunk': { type: 'string' },
    'gpu-budget': { type: 'string' },
    'host-budget': { type: 'string' },
    temperature: { type: 'string' },
    'top-k': { type: 'string' },
    'top-p': { type: 'string' },
    peer: { type: 'string' },
  },
  demo: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, runs: { type: 'string' }, 'gen-tokens': { type: 'string' } },
  load: { ...MODEL, runs: { type: 'string' }, store: { type: 'string' } },
  'moe-block': { ...MODEL, tokens: { type: 'string' } },
  products: { host: { type: 'string' }, layers: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  profile: { ...MODEL, context: { type: 'string' }, chunk: { type: 'string' }, sampled: { type: 'boolean' }, sessions: { type: 'string' } },
  ondemand: { ...MODEL, 'prompt-tokens': { type: 'string' }, 'gen-tokens': { type: 'string' }, runs: { type: 'string' }, megabytes: { type: 'string' } },
  perplexity: {
    host: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    tolerance: { type: 'string' },
  },
  mesh: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  'mesh-cost': { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, runs: { type: 'string' }, fixture: { type: 'string' }, 'round-trips': { type: 'string' } },
  'mesh-stall': { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, fixture: { type: 'string' } },
  'mesh-fixtures': { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, fixture: { type: 'string' } },
  'mesh-slices': { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  'mesh-soak': {
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    fixture: { type: 'string' },
  },
  residency: { trace: { type: 'string' }, record: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  storage: { megabytes: { type: 'string' }, 'shard-kilobytes': { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  upload: { host: { type: 'string' }, megabytes: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  synth: {
    shape: { type: 'string' },
    type: { type: 'string' },
    layers: { type: 'string' },
    seed: { type: 'string' },
    out: { type: 'string', short: 'o' },
    help: { type: 'boolean', short: 'h' },
  },
  plots: { help: { type: 'boolean', short: 'h' }, file: { type: 'string' }, machine: { type: 'string' }, out: { type: 'string', short: 'o' } },
  report: { help: { type: 'boolean', short: 'h' }, dir: { type: 'string' }, out: { type: 'string', short: 'o' } },
} as const satisfies Record<string, ParseArgsConfig['options']>;

export type CommandName = keyof typeof COMMANDS;

export const USAGE = `npm run bench -- [compare] [--model PATH] [--prompt-tokens 64] [--gen-tokens 64] [--runs 3] [--sessions 1] [--prefill-chunk N]
                         [--temperature T --top-k K --top-p P] [--peer auto|webgpu|cpu|none]
                         [--gpu-budget 50% --host-budget 100%]   prefill and decode, ours and wllama's
npm run bench -- demo      [--runs 3] [--gen-tokens 64]                   what a first visitor of the demo page waits for, each shipped model
npm run bench -- load      [--model PATH] [--runs 3] [--store opfs|indexeddb]   from the file, then from the store, to the first token; its stages
npm run bench -- moe-block [--model PATH] [--tokens 512]                  the MoE block against one-hot dispatch and a host loop
npm run bench -- products  [--layers 8] [--host chromium|node]            one token's matrix products, each alone: as shipped, and with inputs in int8
npm run bench -- profile   [--model PATH] [--context 128] [--chunk 512] [--sampled] [--sessions 8]   where a token's (of one session and of several) and a prefill chunk's time goes
npm run bench -- ondemand  [--model PATH] [--prompt-tokens 64] [--gen-tokens 64] [--runs 3]   decode all resident, in budgets of 100% and 50%, and its bound
npm run bench -- perplexity [--tolerance 0.5]                             of the demo's models on held-out texts, within so many percent of PyTorch's
npm run bench -- mesh                                                      rooms of 2 to 256 peers on a virtual clock: relays, replicas, experts against layers
npm run bench -- mesh-cost [--runs 3] [--fixture FOLDER] [--round-trips 5,20,50]   a token in a room of two tabs over WebRTC beside one alone, at 5, 20 and 50 ms, batch 1 and 8
npm run bench -- mesh-stall [--fixture FOLDER]                             how long an answer stands still when tabs are killed, freeze or are late, over WebRTC
npm run bench -- mesh-fixtures [--fixture FOLDER]                          every MoE fixture in rooms of 2, 3 and 5 tabs over WebRTC; fails on a wrong token
npm run bench -- mesh-slices                                               frames of 4 to 512 KB in slices of several sizes over WebRTC: MB/s and round trips
npm run bench -- mesh-soak [--minutes 2] [--seed N] [--fixture FOLDER]     a room with random joins, leaves, losses and conversations; fails on a wrong token or a leak
npm run bench -- residency [--trace FILE | --record FILE]                  hit rates of eviction policies on router traces, ours beside LRU, LFU and the optimum
npm run bench -- storage   [--megabytes 1024] [--shard-kilobytes 4096]    IndexedDB (Blob, ArrayBuffer) and OPFS: writing, reading, warm and cold; SHA-256
npm run bench -- upload    [--megabytes 2048] [--host chromium|node]      to GPU memory: writeBuffer, mapped rings, mappedAtCreation, the engine's uploader
npm run bench -- synth     --shape NAME --type q4_0|q4_k|q8_0|mxfp4 --out FILE [--layers N] [--seed N]   a real shape, random weights
npm run bench -- report    --dir FOLDER --out FOLDER                      the JSON results in a folder as one file, and as Markdown
npm run bench -- plots     FILE.json [--machine NAME] [--out docs/speed]  SVG of a results.json of report: speed over context, a token's stages

Those with a model take [--host chromium|node] [--bare-kernels] [--precision f16|f32] [--json]; without --model they take the demo's embedded one.
CHROME_PATH names the browser, CHROME_ARGS its flags.
`;

/** @returns the command (compare, where none is named) and its options; throws `UsageError`. */
export function parseCommand(argv: readonly string[]): { readonly command: CommandName | 'help'; readonly options: Options } {
  const named = argv[0] !== undefined && !argv[0].startsWith('-');
  const command = named ? (argv[0] ?? '') : 'compare';
  if (!isCommand(command)) throw new UsageError(`There is no bench "${command}".\n\n${USAGE}`);
  try {
    const config: ParseArgsConfig = { args: argv.slice(named ? 1 : 0), options: COMMANDS[command], strict: true, allowPositionals: command === 'plots' };
    const { values, positionals } = parseArgs(config);
    const options: Options = { ...(values as Options), ...(positionals[0] === undefined ? {} : { file: positionals[0] }) };
    return { command: options['help'] ? 'help' : command, options };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}
