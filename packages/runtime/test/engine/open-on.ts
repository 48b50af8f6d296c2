import { featureConditions, ShaderContext } from '@gatefold/shaders';
import type { LoadOptions } from '../../src/api/types.ts';
import { requestGpu, type GpuDevice } from '../../src/engine/device.ts';
import { LoadedModel } from '../../src/engine/loaded-model.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { openModel } from '../../src/shards/open-model.ts';
import type { ByteSource } from '../../src/shards/source.ts';
import { NO_STORE } from '../../src/shards/store/none.ts';
import type { ShardStore } from '../../src/shards/store/store.ts';

/** A device for the models of a test file, and the kernels that are compiled on it: on a CPU, compiling takes most of a test's time. */
export interface TestGpu extends GpuDevice {
  readonly shaders: ShaderContext;
  /** GPU errors that nobody caught. */
  readonly stray: readonly string[];
}

export interface OpenFixture extends Pick<TestGpu, 'stray'> {
  readonly model: LoadedModel;
}

export async function openGpu(gpu: GPU | undefined): Promise<TestGpu> {
  return testGpu(await requestGpu(gpu));
}

export function testGpu(gpu: GpuDevice): TestGpu {
  const stray: string[] = [];
  gpu.device.addEventListener('uncapturederror', ({ error }) => stray.push(error.message));
  return { ...gpu, stray, shaders: new ShaderContext(gpu.device, featureConditions(gpu.device, gpu.adapterInfo)) };
}

/** A GGUF file on a device, all weights resident unless the options say otherwise. */
export async function openOn(gpu: TestGpu, source: ByteSource, options: LoadOptions, store: ShardStore = NO_STORE): Promise<OpenFixture> {
  const { gguf, loader } = await openModel(source, store);
  const model = await LoadedModel.allocate(gpu, await specFromGguf(gguf), gguf, options, gpu.shaders);
  const shards = model.isPaged ? loader.plan.shards.filter(({ kind }) => kind === 'trunk') : loader.plan.shards;
  await loader.loadAll(shards, (shard, bytes) => model.upload(shard, bytes));
  await model.prepare(loader);
  await model.ready();
  return { model, stray: gpu.stray };
}
