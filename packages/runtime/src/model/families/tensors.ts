import { UnsupportedTensorTypeError } from '../gguf/errors.ts';
import { ggmlType } from '../gguf/ggml-types.ts';
import type { GgufModel, TensorInfo } from '../gguf/types.ts';
import { isGated, type Activation, type DenseSpec, type LayerSpec, type MixerSpec, type ModelSpec, type MoeSpec, type NormSpec } from '../spec.ts';
import { ModelTensorError } from './errors.ts';
import { attentionTensors, type ExpectedTensor } from './attention-tensors.ts';

/** Kernels read matrices 32 columns at a time. */
const COLUMN_MULTIPLE = 32;

/**
 * Holds a file's tensors against the spec: all are there, have the shapes that the metadata promises and types that the
 * engine decodes, and there are no others (an unknown tensor would mean a model that computes something else).
 * Throws `ModelTensorError`, `UnsupportedTensorTypeError`.
 */
export async function checkTensors(spec: ModelSpec, model: GgufModel): Promise<void> {
  const mixers = await mixerTensorsOf(spec);
  const expected = new Set<string>();
  for (const { name, shape, plain = shape.length === 1 } of expectedTensors(spec, model, mixers)) {
    const info = model.tensors.get(name);
    if (!info || !sameShape(info.shape, shape)) throw new ModelTensorError(name, shape, info?.shape);
    checkType(info, shape, plain);
    expected.add(name);
  }
  for (const { name, shape } of model.tensors.values()) {
    if (!expected.has(name)) throw new ModelTensorError(name, [], shape, `is no part of the ${spec.arch} models that Gatefold knows`);
  }
}

/** Norms, biases and frequency factors are F32; everything else is a matrix of a decodable type. */
function checkType({ name, type }: TensorInfo, shape: readonly number[], plain: boolean): void {
  const format = ggmlType(type);
  const typeName = format?.name ?? `type ${type}`;
  if (!format?.decodable) throw new UnsupportedTensorTypeError(name, typeName);
  if (plain || name.endsWith('.bias')) {
    if (typeName !== 'F32') throw new UnsupportedTensorTypeError(name, typeName, ['F32']);
  } else if ((shape.at(-1) ?? 0) % COLUMN_MULTIPLE !== 0) {
    throw new ModelTensorError(name, shape, shape, `has ${shape.at(-1)} columns, no multiple of ${COLUMN_MULTIPLE}`);
  }
}

/** GGUF writers drop outer dimensions of 1. */
function sameShape(a: readonly number[], b: readonly number[]): boolean {
  const trim = (shape: readonly number[]) => shape.slice(shape.findIndex((size, i) => size !== 1 || i === shape.length - 1)).join();
  return trim(a) === trim(b);
}

type MixerTensors = (block: string, mixer: MixerSpec, hiddenSize: number) => Iterable<ExpectedTensor>;

/** Tensors of mixers; those of other kinds than attention are loaded with the models that have them. */
async function mixerTensorsOf({ layers }: ModelSpec): Promise<MixerTensors> {
  const others = layers.some(({ attention }) => attention.kind !== 'gqa') ? await import('./mixer-tensors.ts') : undefined;
  return (block, mixer, hiddenSize) => (mixer.kind === 'gqa' ? attentionTensors(block, mixer, hiddenSize) : (others?.mixerTensors(block, mixer, hiddenSize) ?? []));
}

function* expectedTensors(spec: ModelSpec, model: GgufModel, mixers: MixerTensors): Generator<ExpectedTensor> {
  const { hiddenSize, vocabSize } = spec;
  yield { name: 'token_embd.weight', shape: [vocabSize, hiddenSize] };
  if (spec.embedding.learnedPositions) yield { name: 'position_embd.weight', shape: [spec.contextLength, hiddenSize] };
  yield* normTensors('', spec.finalNorm, hiddenSize);
  if (spec.output.tensor === 'output.weight') yield { name: 'output.weight', shape: [vocabSize, hiddenSize] };
  if (spec.output.bias) yield { name: 'output.bias', shape: [vocabSize] };
  const factors = spec.layers.map(({ attention }) => ('rope' in attention ? attention.rope : null)).find((rope) => rope?.frequencyFactors);
  const names = factors?.long ? ['rope_factors_short.weight', 'rope_factors_long.weight'] : ['rope_freqs.weight'];
  if (factors) for (const name of names) yield { name, shape: [factors.dims / 2] };
  for (const layer of spec.layers) yield* layerTensors(layer, hiddenSize, model, mixers);
}

function* layerTensors({ index, attentionNorm, attention, ffnNorm, ffn, ...rest }: LayerSpec, hiddenSize: number, model: GgufModel, mixers: MixerTensors): Generator<ExpectedTensor> {
  const block = `blk.${index}.`;
  yield* normTensors(block, attentionNorm, hiddenSize);
  yield* mixers(block, attention, hiddenSize);
  for (const norm of [ffnNorm, rest.postAttentionNorm, rest.postFfnNorm]) if (norm) yield* normTensors(block, norm, hiddenSize);
  if (rest.outputScale) yield { name: `${block}layer_output_scale.weight`, shape: [1] };
  yield* ffn.kind === 'dense' ? denseTensors(block, ffn, hiddenSize) : moeTensors(block, ffn, hiddenSize, model);
}

function* normTensors(block: string, { tensor, kind }: NormSpec, hiddenSize: number): Generator<ExpectedTensor> {
  yield { name: `${block}${tensor}.weight`, shape: [hiddenSize] };
  if (kind === 'layer') yield { name: `${block}${tensor}.bias`, shape: [hiddenSize] };
}

/** Name and shape of the matrices of an FFN of this width. */
function ffnShapes(width: number, hiddenSize: number, activation: Activation): readonly (readonly [name: string, rows: number, columns: number])[] {
  return [
    ...(isGated(activation) ? [['ffn_gate', width, hiddenSize] as const] : []),
    ['ffn_up', width, hiddenSize],
    ['ffn_down', hiddenSize, width],
  ];
}

function* denseTensors(block: string, { width, activation, bias, fused = false }: Omit<DenseSpec, 'kind' | 'fused'> & Partial<Pick<DenseSpec, 'fused'>>, hiddenSize: number): Generator<ExpectedTensor> {
  const shapes = ffnShapes(width, hiddenSize, activation);
  for (const [name, rows, columns] of fused ? [['ffn_up', 2 * width, hiddenSize] as const, ...shapes.slice(2)] : shapes) {
    yield { name: `${block}${name}.weight`, shape: [rows, columns] };
    if (bias) yield { name: `${block}${name}.bias`, shape: [rows] };
  }
}

/** Experts are stacked in one tensor, or in two with gate above up; Mixtral files from before April 2024 have a tensor for each. */
function* moeTensors(block: string, ffn: MoeSpec, hiddenSize: number, model: GgufModel): Generator<ExpectedTensor> {
  const { experts, width, activation, bias, shared } = ffn;
  yield* routerTensors(block, ffn, hiddenSize);
  const fused = model.tensors.has(`${block}ffn_gate_up_exps.weight`);
  if (fused) yield { name: `${block}ffn_gate_up_exps.weight`, shape: [experts, 2 * width, hiddenSize] };
  const onePerExpert = model.tensors.has(`${block}ffn_gate.0.weight`);
  for (const [name, rows, columns] of ffnShapes(width, hiddenSize, activation)) {
    if (bias) yield { name: `${block}${name}_exps.bias`, shape: [experts, rows] };
    if (fused && name !== 'ffn_down') continue;
    if (!onePerExpert) yield { name: `${block}${name}_exps.weight`, shape: [experts, rows, columns] };
    else for (let expert = 0; expert < experts; expert++) yield { name: `${block}${name}.${expert}.weight`, shape: [rows, columns] };
  }
  if (shared.kind === 'residual' || shared.kind === 'parallel') yield* denseTensors(block, { width: shared.width, activation, bias }, hiddenSize);
  if (shared.kind === 'parallel') for (const norm of Object.values(shared.norms)) yield* normTensors(block, norm, hiddenSize);
  if (shared.kind !== 'shared') return;
  for (const [name, rows, columns] of ffnShapes(shared.width, hiddenSize, activation)) yield { name: `${block}${name}_shexp.weight`, shape: [rows, columns] };
}

function* routerTensors(block: string, { experts, router, shared }: MoeSpec, hiddenSize: number): Generator<ExpectedTensor> {
  yield { name: `${block}ffn_gate_inp.weight`, shape: [experts, hiddenSize] };
  if (router.ownNorm) yield { name: `${block}ffn_gate_inp.scale`, shape: [hiddenSize] };
  if (router.logitBias) yield { name: `${block}ffn_gate_inp.bias`, shape: [experts] };
  if (router.selectionBias) yield { name: `${block}exp_probs_b.bias`, shape: [experts] };
  if (router.perExpertScale) yield { name: `${block}ffn_down_exps.scale`, shape: [experts] };
  if (shared.kind === 'residual') {
    yield { name: `${block}ffn_coefficient.weight`, shape: [2, hiddenSize] };
    yield { name: `${block}ffn_coefficient.bias`, shape: [2] };
  }
  if (shared.kind === 'shared' && shared.gated) yield { name: `${block}ffn_gate_inp_shexp.weight`, shape: [hiddenSize] };
}
