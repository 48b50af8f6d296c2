import type { AdapterSummary, ModelInfo } from '../api/types.ts';
import type { LoadedModel } from '../engine/loaded-model.ts';
import type { GgufModel } from '../model/gguf/types.ts';
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
    // Where a server does not tell a file's size, its tensors say it but for the padding between them.
    fileBytes: gguf.files.reduce((sum, { source, headerBytes }, file) => sum + (source.size ?? tensors.reduce((end, tensor) => (tensor.file === file ? end + tensor.byteLength : end), headerBytes)), 0),
    chatTemplate: typeof template === 'string' ? template : undefined,
    bosToken: tokenOf(text.bosId),
    eosToken: tokenOf(text.eosIds[0]),
    eosIds: text.eosIds,
    adapter,
  };
}
