import type { GgufModel } from '../gguf/types.ts';

/**
 * The model without the layers that predict tokens beyond the next (`nextn_predict_layers`: DeepSeek-V3's multi-token
 * prediction, GLM-4.5's). They are counted as the last of `block_count`, and the next token does not depend on them.
 */
export function withoutPredictionLayers(model: GgufModel): GgufModel {
  const arch = String(model.metadata.get('general.architecture'));
  const layers = model.metadata.get(`${arch}.block_count`);
  const predicting = model.metadata.get(`${arch}.nextn_predict_layers`);
  if (typeof layers !== 'number' || typeof predicting !== 'number' || !(predicting > 0)) return model;
  const kept = layers - predicting;
  const isKept = (name: string): boolean => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1) < kept;
  return {
    ...model,
    metadata: new Map([...model.metadata, [`${arch}.block_count`, kept]]),
    tensors: new Map([...model.tensors].filter(([name]) => isKept(name))),
  };
}
