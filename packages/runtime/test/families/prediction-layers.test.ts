import { expect, it } from 'vitest';
import { specFromGguf } from '../../src/model/families/index.ts';
import { withoutPredictionLayers } from '../../src/model/families/prediction-layers.ts';
import { read } from '../gguf/refusals.ts';
import { pair, tensor, tinyModel } from '../gguf/tiny-model.ts';
import { T } from '../gguf/write-gguf.ts';

const changed = async (predicting: number) => {
  const { pairs, tensors } = tinyModel({ arch: 'qwen3moe', layers: 3 });
  return read({ pairs: [...pairs, pair('qwen3moe.nextn_predict_layers', T.u32, predicting)], tensors: [...tensors, tensor('blk.2.nextn.eh_proj.weight', [32, 64])] });
};

it('layers that predict further tokens are left out, whatever they hold', async () => {
  const model = withoutPredictionLayers(await changed(1));
  expect((await specFromGguf(model)).layers).toHaveLength(2);
  expect([...model.tensors.keys()].filter((name) => name.startsWith('blk.2.'))).toEqual([]);
  expect(model.tensors.has('token_embd.weight')).toBe(true);
});

it('a model without them, or with more than it has layers, is left to be judged as it is', async () => {
  const none = await changed(0);
  expect(withoutPredictionLayers(none)).toBe(none);
  await expect(specFromGguf(withoutPredictionLayers(await changed(4)))).rejects.toMatchObject({ key: 'qwen3moe.block_count' });
});
