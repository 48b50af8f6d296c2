import type { AdapterSummary, ModelInfo } from '../api/types.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';
import type { GgufModel, TensorInfo } from '../model/gguf/types.ts';
import type { ShardPlan } from '../shards/shard.ts';
import type { ModelText } from './text.ts';

/** What `Model.info` says. */
export function modelInfo(gguf: GgufModel, { modelId }: ShardPlan, { spec, contextLength }: LoadedModel, adapter: AdapterSummary, text: ModelText): ModelInfo {
  const template = gguf.metadata.get('tokenizer.chat_template');
  const tensors = [...gguf.tensors.values()];
  const tokens = gguf.metadata.get('tokenizer.ggml.tokens');
  const tokenOf = (id: number | undefined) => {
    const token: unknown = id !== undefined && Array.isArray(tokens) ? tokens[id] : undefined;
    return typeof token === 'string' ? token : undefined;
  };
  return {
    modelId,
    spec,
    contextLength,
    parameterCount: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    fileBytes: gguf.files.reduce((sum, { source, headerBytes }, file) => sum + (source.size ?? tensorsEnd(tensors, file, headerBytes)), 0),
    chatTemplate: typeof template === 'string' ? template : undefined,
    bosToken: tokenOf(text.bosId),
    eosToken: tokenOf(text.eosIds[0]),
    eosIds: text.eosIds,
    adapter,
  };
}

/** Where a file's last tensor ends: its size, which not every server tells. */
function tensorsEnd(tensors: readonly TensorInfo[], file: number, headerBytes: number): number {
  return tensors.reduce((end, tensor) => (tensor.file === file ? Math.max(end, tensor.offset + tensor.byteLength) : end), headerBytes);
}
