import type { Shape } from './shapes.ts';
import type { FileType } from './tensors.ts';
import { vocabulary } from './vocabulary.ts';

/** GGUF value types by their numbers. */
export const VALUE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** A metadata value with the number of its type; arrays name that of their elements. */
export type MetadataValue =
  | { readonly type: 4 | 5 | 6; readonly value: number }
  | { readonly type: 7; readonly value: boolean }
  | { readonly type: 8; readonly value: string }
  | { readonly type: 9; readonly of: 5; readonly value: readonly number[] }
  | { readonly type: 9; readonly of: 8; readonly value: readonly string[] };

const u32 = (value: number): MetadataValue => ({ type: VALUE.u32, value });
const f32 = (value: number): MetadataValue => ({ type: VALUE.f32, value });
const text = (value: string): MetadataValue => ({ type: VALUE.string, value });

/** llama.cpp's numbers of whole-file types (`general.file_type`). */
const FILE_TYPES: Readonly<Record<FileType, number>> = { q4_0: 2, q8_0: 7, q4_k: 15, mxfp4: 38 };

/** Everything that a file of this shape says about itself, as llama.cpp's converter writes it. */
export function metadata(name: string, shape: Shape, fileType: FileType): ReadonlyMap<string, MetadataValue> {
  const { arch, yarn, slidingWindow } = shape;
  const { tokens, merges, types, endId } = vocabulary(shape.vocab);
  const own: Record<string, MetadataValue> = {
    block_count: u32(shape.layers),
    context_length: u32(shape.context),
    embedding_length: u32(shape.hidden),
    feed_forward_length: u32(shape.expertWidth),
    expert_feed_forward_length: u32(shape.expertWidth),
    expert_count: u32(shape.experts),
    expert_used_count: u32(shape.topK),
    'attention.head_count': u32(shape.heads),
    'attention.head_count_kv': u32(shape.kvHeads),
    'attention.key_length': u32(shape.headDim),
    'attention.value_length': u32(shape.headDim),
    'attention.layer_norm_rms_epsilon': f32(shape.epsilon),
    'rope.freq_base': f32(shape.ropeBase),
    'rope.dimension_count': u32(shape.headDim),
    ...(slidingWindow === undefined ? {} : { 'attention.sliding_window': u32(slidingWindow) }),
    ...(yarn
      ? { 'rope.scaling.type': text('yarn'), 'rope.scaling.factor': f32(yarn.factor), 'rope.scaling.original_context_length': u32(yarn.originalContext) }
      : {}),
  };
  return new Map<string, MetadataValue>([
    ['general.architecture', text(arch)],
    ['general.name', text(name)],
    ['general.file_type', u32(FILE_TYPES[fileType])],
    ['general.quantization_version', u32(2)],
    ...Object.entries(own).map(([key, value]) => [`${arch}.${key}`, value] as const),
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text(shape.pre)],
    ['tokenizer.ggml.tokens', { type: VALUE.array, of: VALUE.string, value: tokens }],
    ['tokenizer.ggml.token_type', { type: VALUE.array, of: VALUE.i32, value: types }],
    ['tokenizer.ggml.merges', { type: VALUE.array, of: VALUE.string, value: merges }],
    ['tokenizer.ggml.bos_token_id', u32(endId)],
    ['tokenizer.ggml.eos_token_id', u32(endId)],
    ['tokenizer.ggml.add_bos_token', { type: VALUE.bool, value: false }],
  ]);
}
