import type { GgufModel } from '../gguf/types.ts';
import type { ModelSpec } from '../spec.ts';
import { deepseek2 } from './deepseek2.ts';
import { ModelMetadataError, UnsupportedFamilyError } from './errors.ts';
import { ernie45 } from './ernie4_5.ts';
import { gemma4 } from './gemma4.ts';
import { gptOss } from './gpt-oss.ts';
import { granite } from './granite.ts';
import { glm4moe } from './glm4moe.ts';
import { hunyuanMoe } from './hunyuan-moe.ts';
import { ModelKeys } from './keys.ts';
import { llama } from './llama.ts';
import { llama4 } from './llama4.ts';
import { olmoe } from './olmoe.ts';
import { prmoe } from './prmoe.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { checkTensors } from './tensors.ts';

/** Maps metadata to a spec. Throws `ModelMetadataError` for keys that are missing or make no sense. */
type Family = (keys: ModelKeys) => ModelSpec;

/** By GGUF `general.architecture`. */
const FAMILIES = new Map<string, Family>([
  ['llama', llama],
  ['qwen2', qwen2],
  ['qwen3', qwen3],
  ['ernie4_5', ernie45],
  ['granite', granite],
  ['olmoe', olmoe],
  ['qwen2moe', qwen2],
  ['qwen3moe', qwen3],
  ['gpt-oss', gptOss],
  ['granitemoe', granite],
  ['glm4moe', glm4moe],
  ['hunyuan-moe', hunyuanMoe],
  ['llama4', llama4],
  ['gemma4', gemma4],
  ['ernie4_5-moe', ernie45],
  ['deepseek2', deepseek2],
  ['prmoe', prmoe],
]);

/** Values of GGUF `general.architecture` that are supported. */
export const SUPPORTED_FAMILIES: readonly string[] = [...FAMILIES.keys()];

/**
 * The spec of a GGUF model, with its tensors checked against it.
 * Throws `UnsupportedFamilyError`, `ModelMetadataError`, `ModelTensorError`, `UnsupportedTensorTypeError`.
 */
export function specFromGguf(model: GgufModel): ModelSpec {
  const arch = model.metadata.get('general.architecture');
  if (typeof arch !== 'string') throw new ModelMetadataError('general.architecture', arch === undefined ? 'is missing' : 'is no string');
  const family = FAMILIES.get(arch);
  if (!family) throw new UnsupportedFamilyError(arch, SUPPORTED_FAMILIES);
  const spec = family(new ModelKeys(model, arch));
  checkTensors(spec, model);
  return spec;
}
