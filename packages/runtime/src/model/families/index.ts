import type { GgufModel } from '../gguf/types.ts';
import type { ModelSpec } from '../spec.ts';
import { ModelMetadataError, UnsupportedFamilyError } from './errors.ts';
import { ModelKeys } from './keys.ts';
import { llama } from './llama.ts';
import { olmoe } from './olmoe.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { checkTensors } from './tensors.ts';

/** Maps metadata to a spec. Throws `ModelMetadataError` for keys that are missing or make no sense. */
type Family = (keys: ModelKeys) => ModelSpec;

const ernie45 = (): Promise<Family> => import('./ernie4_5.ts').then((module) => module.ernie45);
const lfm2 = (): Promise<Family> => import('./lfm2.ts').then((module) => module.lfm2);
const qwen3next = (): Promise<Family> => import('./qwen3next.ts').then((module) => module.qwen3next);
const granite = (): Promise<Family> => import('./granite.ts').then((module) => module.granite);

/** By GGUF `general.architecture`. Those with little of their own are here; of the others a page downloads the one that its model is of. */
const FAMILIES = new Map<string, () => Family | Promise<Family>>([
  ['llama', () => llama],
  ['qwen2', () => qwen2],
  ['qwen3', () => qwen3],
  ['ernie4_5', ernie45],
  ['granite', granite],
  ['phi3', () => import('./phi3.ts').then((module) => module.phi3)],
  ['phimoe', () => import('./phimoe.ts').then((module) => module.phimoe)],
  ['gemma3', () => import('./gemma3.ts').then((module) => module.gemma3)],
  ['olmoe', () => olmoe],
  ['qwen2moe', () => qwen2],
  ['qwen3moe', () => qwen3],
  ['gpt-oss', () => import('./gpt-oss.ts').then((module) => module.gptOss)],
  ['granitemoe', granite],
  ['glm4moe', () => import('./glm4moe.ts').then((module) => module.glm4moe)],
  ['hunyuan-moe', () => import('./hunyuan-moe.ts').then((module) => module.hunyuanMoe)],
  ['llama4', () => import('./llama4.ts').then((module) => module.llama4)],
  ['gemma4', () => import('./gemma4.ts').then((module) => module.gemma4)],
  ['ernie4_5-moe', ernie45],
  ['deepseek', () => import('./deepseek.ts').then((module) => module.deepseek)],
  ['deepseek2', () => import('./deepseek2.ts').then((module) => module.deepseek2)],
  ['lfm2', lfm2],
  ['lfm2moe', lfm2],
  ['qwen3next', qwen3next],
  ['qwen35moe', qwen3next],
  ['prmoe', () => import('./prmoe.ts').then((module) => module.prmoe)],
]);

/** Values of GGUF `general.architecture` that are supported. */
export const SUPPORTED_FAMILIES: readonly string[] = [...FAMILIES.keys()];

/**
 * The spec of a GGUF model, with its tensors checked against it.
 * Throws `UnsupportedFamilyError`, `ModelMetadataError`, `ModelTensorError`, `UnsupportedTensorTypeError`.
 */
export async function specFromGguf(model: GgufModel): Promise<ModelSpec> {
  const arch = model.metadata.get('general.architecture');
  if (typeof arch !== 'string') throw new ModelMetadataError('general.architecture', arch === undefined ? 'is missing' : 'is no string');
  const family = await FAMILIES.get(arch)?.();
  if (!family) throw new UnsupportedFamilyError(arch, SUPPORTED_FAMILIES);
  const spec = family(new ModelKeys(model, arch));
  await checkTensors(spec, model);
  return spec;
}
