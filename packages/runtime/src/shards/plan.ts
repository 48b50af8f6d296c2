import { GgufError } from '../model/gguf/errors.ts';
import type { GgufModel, TensorInfo } from '../model/gguf/types.ts';
import { modelIdentity } from './identity.ts';
import type { Shard, ShardPlan, ShardRange } from './shard.ts';
import type { ReadOptions } from './source.ts';

/** Trunk tensors above this are cut, so that a shard is quickly fetched, hashed and uploaded. */
const MAX_TRUNK_BYTES = 16 * 1024 * 1024;

/** Cuts are at multiples of this, which keeps every plane of a quantised format on whole words. */
const ROW_MULTIPLE = 32;

/** Experts' byte ranges in a model: an untrusted file says how many. Kimi K2 has 60 layers × 384 experts × 3. */
const MAX_EXPERT_RANGES = 2 ** 20;

/** `blk.3.ffn_gate_exps.weight`: the matrices of all experts in one tensor. */
const STACKED = /^blk\.(\d+)\.ffn_(?:gate|up|down|gate_up)_exps\.(weight|bias)$/;
/** `blk.3.ffn_gate.17.weight`: Mixtral files from before April 2024. */
const ONE_PER_EXPERT = /^blk\.(\d+)\.ffn_(?:gate|up|down)\.(\d+)\.weight$/;
const IN_LAYER = /^blk\.(\d+)\./;

/** Whether a tensor holds routed experts' weights: its parts are in the experts' shards. */
export function isExpertTensor(name: string): boolean {
  return STACKED.test(name) || ONE_PER_EXPERT.test(name);
}

interface LayerParts {
  readonly trunk: ShardRange[];
  /** Trunk tensors that are shards of their own. */
  readonly pieces: Shard[];
  readonly experts: Map<number, ShardRange[]>;
}

/**
 * Cuts a model into shards: the tensors outside layers first, then for each layer its trunk and its experts in order.
 * Every byte of every tensor is in exactly one shard.
 * @param options for the reads that the model's identity may need
 * Throws `GgufError` 'gguf-limit' for more experts than any model has, and what the sources throw.
 */
export async function planShards(model: GgufModel, options?: ReadOptions): Promise<ShardPlan> {
  checkExpertCount(model);
  const outside: Shard[] = [];
  const layers = new Map<number, LayerParts>();
  for (const info of model.tensors.values()) {
    const number = IN_LAYER.exec(info.name)?.[1];
    if (number === undefined) outside.push(...cutTensor(info));
    else addToLayer(mapGet(layers, Number(number), () => ({ trunk: [], pieces: [], experts: new Map() })), Number(number), info);
  }
  const inOrder = [...layers].sort(([a], [b]) => a - b);
  const shards = [...outside, ...inOrder.flatMap(([layer, parts]) => layerShards(layer, parts))];
  return { modelId: await modelIdentity(model, options), shards };
}

function checkExpertCount({ tensors, files }: GgufModel): void {
  let ranges = 0;
  for (const { name, shape, file } of tensors.values()) {
    if (!STACKED.test(name)) continue;
    ranges += shape[0] ?? 1;
    if (ranges > MAX_EXPERT_RANGES) {
      throw new GgufError('gguf-limit', files[file]?.source.name ?? '', `tensor ${name}`, `brings the experts' matrices to ${ranges}, more than the limit of ${MAX_EXPERT_RANGES}`, {
        limit: MAX_EXPERT_RANGES,
        value: ranges,
      });
    }
  }
}

function addToLayer({ trunk, pieces, experts }: LayerParts, layer: number, info: TensorInfo): void {
  const [, , kind] = STACKED.exec(info.name) ?? [];
  const [, , single] = ONE_PER_EXPERT.exec(info.name) ?? [];
  if (kind !== undefined) {
    for (const [expert, range] of expertRanges(info, kind === 'bias').entries()) mapGet(experts, expert, () => []).push(range);
  } else if (single !== undefined) {
    mapGet(experts, Number(single), () => []).push(wholeRange(info));
  } else if (info.byteLength > MAX_TRUNK_BYTES) {
    pieces.push(...cutTensor(info, layer));
  } else {
    trunk.push(wholeRange(info));
  }
}

function layerShards(layer: number, { trunk, pieces, experts }: LayerParts): Shard[] {
  const shards: Shard[] = trunk.length > 0 ? [shardOf(`layer.${layer}.trunk`, trunk, { layer })] : [];
  const inOrder = [...experts].sort(([a], [b]) => a - b);
  const expertShards = inOrder.map(([expert, ranges]) => shardOf(`layer.${layer}.expert.${expert}`, ranges, { kind: 'expert', layer, expert }));
  return [...shards, ...pieces, ...expertShards];
}

/** A stacked tensor's slice for each expert: [E, rows, cols] of weights, [E, width] of biases. GGUF may drop an E of 1. */
function expertRanges(info: TensorInfo, isBias: boolean): ShardRange[] {
  const stacked = info.shape.length === (isBias ? 2 : 3);
  const experts = stacked ? (info.shape[0] ?? 1) : 1;
  const rows = isBias ? 1 : (info.shape.at(-2) ?? 1);
  const length = info.byteLength / experts;
  return Array.from({ length: experts }, (_, expert) => ({
    file: info.file,
    offset: info.offset + expert * length,
    length,
    tensor: info.name,
    firstRow: 0,
    rows,
  }));
}

/** A trunk tensor as shards of at most `MAX_TRUNK_BYTES`, cut at rows. */
function cutTensor(info: TensorInfo, layer?: number): Shard[] {
  const place = layer === undefined ? {} : { layer };
  const whole = wholeRange(info);
  if (info.byteLength <= MAX_TRUNK_BYTES || whole.rows === 1) return [shardOf(info.name, [whole], place)];
  const rowBytes = info.byteLength / whole.rows;
  const most = Math.max(1, Math.floor(MAX_TRUNK_BYTES / rowBytes / ROW_MULTIPLE)) * ROW_MULTIPLE;
  return Array.from({ length: Math.ceil(whole.rows / most) }, (_, piece) => {
    const firstRow = piece * most;
    const rows = Math.min(most, whole.rows - firstRow);
    return shardOf(`${info.name}.${piece}`, [{ ...whole, offset: info.offset + firstRow * rowBytes, length: rows * rowBytes, firstRow, rows }], place);
  });
}

function wholeRange({ name, file, offset, byteLength, shape }: TensorInfo): ShardRange {
  const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
  return { file, offset, length: byteLength, tensor: name, firstRow: 0, rows };
}

function shardOf(id: string, ranges: readonly ShardRange[], place: Partial<Pick<Shard, 'kind' | 'layer' | 'expert'>>): Shard {
  return { kind: 'trunk', ...place, id, ranges, byteLength: ranges.reduce((sum, { length }) => sum + length, 0) };
}

function mapGet<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
