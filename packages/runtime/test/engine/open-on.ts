import type { LoadOptions } from '../../src/api/types.ts';
import { requestGpu, type GpuDevice } from '../../src/engine/device.ts';
import { LoadedModel } from '../../src/engine/loaded-model.ts';
import { specFromGguf } from '../../src/model/families/index.ts';
import { openModel } from '../../src/shards/open-model.ts';
import { PathSource } from '../../src/shards/sources/path.ts';
import { NO_STORE } from '../../src/shards/store/none.ts';

export interface OpenFixture {
  readonly model: LoadedModel;
  readonly device: GPUDevice;
  /** GPU errors that nobody caught. */
  readonly stray: readonly string[];
}

/** A GGUF file on this host's GPU, all weights resident unless the options say otherwise. */
export async function openOn(gpu: GPU | undefined, path: string, options: LoadOptions): Promise<OpenFixture> {
  return openOnDevice(await requestGpu(gpu), path, options);
}

export async function openOnDevice(onGpu: GpuDevice, path: string, options: LoadOptions): Promise<OpenFixture> {
  const { device } = onGpu;
  const stray: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => stray.push(error.message));
  const { gguf, loader } = await openModel(new PathSource(path), NO_STORE);
  const model = await LoadedModel.allocate(onGpu, await specFromGguf(gguf), gguf, options);
  const shards = model.isPaged ? loader.plan.shards.filter(({ kind }) => kind === 'trunk') : loader.plan.shards;
  await loader.loadAll(shards, (shard, bytes) => model.upload(shard, bytes));
  await model.prepare(loader);
  await model.ready();
  return { model, device, stray };
}
