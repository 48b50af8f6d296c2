import type { LoadOptions, Warning } from '../api/types.ts';
import { requestGpu, type GpuDevice } from '../engine/device.ts';
import { OutOfGpuMemoryError } from '../engine/errors.ts';
import { LoadedModel } from '../engine/loaded-model.ts';
import { specFromGguf } from '../model/families/index.ts';
import type { Lifeline } from '../port/lifeline.ts';
import { openModel } from '../shards/open-model.ts';
import type { ByteSource } from '../shards/source.ts';
import { openStore } from '../shards/store/open.ts';
import { checkOptions } from './check-options.ts';
import { isCpuAdapter } from './cpu-adapter.ts';
import { deviceLifeline } from './device-lifeline.ts';
import { LoadProgress } from './load-progress.ts';
import { modelInfo } from './model-info.ts';
import { LocalModelService } from './service.ts';
import { openText } from './text.ts';
import type { WarmUp } from './warm-up.ts';

/** Opens the source of the model; warnings that it has go to `onWarning`. */
export type OpenSource = (onWarning: (warning: Warning) => void) => ByteSource;

/**
 * Loads a model in this thread, on a device of its own. When it fails or the signal aborts, nothing stays behind.
 * @param gpu default: `navigator.gpu`
 * Throws `LoadOptionError`, `NoWebGpuError`, `NoAdapterError`, `SourceError`, `GgufError`, `UnsupportedFamilyError`,
 * `ModelMetadataError`, `ModelTensorError`, `UnsupportedTensorTypeError`, `UnsupportedSpecError`, `LimitError`,
 * `OutOfGpuMemoryError`, `ShardHashError`, `DeviceLostError`, and the signal's reason.
 */
export async function loadModel(open: OpenSource, options: LoadOptions, gpu?: GPU): Promise<LocalModelService> {
  checkOptions(options);
  options.signal?.throwIfAborted();
  const onGpu = await requestGpu(gpu);
  const { device, summary } = onGpu;
  const onWarning = options.onWarning ?? (() => {});
  device.addEventListener('uncapturederror', ({ error }) => onWarning({ code: 'other', message: `The GPU reports an error; answers may be wrong: ${error.message}` }));
  if (isCpuAdapter(summary)) {
    onWarning({ code: 'slow-adapter', message: 'WebGPU runs on the CPU here: right, but very slow. Turn on hardware acceleration, or use a machine with a GPU.' });
  }
  const lifeline = deviceLifeline(device);
  try {
    return await lifeline.run(() => loadOnto(onGpu, lifeline, open, { ...options, onWarning }));
  } catch (error) {
    device.destroy();
    options.signal?.throwIfAborted();
    throw error;
  }
}

async function loadOnto(
  gpu: GpuDevice,
  lifeline: Lifeline,
  open: OpenSource,
  options: LoadOptions & { readonly onWarning: (warning: Warning) => void },
): Promise<LocalModelService> {
  const { onWarning } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any(options.signal ? [options.signal, stop.signal] : [stop.signal]);
  const progress = new LoadProgress(options.onProgress);
  progress.enter('header');
  const store = await openStore(options.store, onWarning);
  const { gguf, uses, loader } = await openModel(open(onWarning), store, { useManifest: true, onWarning, onProgress: progress.onFetch, signal });
  const spec = await specFromGguf(gguf);
  const model = await LoadedModel.allocate(gpu, spec, gguf, options).catch(async (error: unknown) => {
    if (!(error instanceof OutOfGpuMemoryError) || options.gpuBudget !== undefined || !spec.layers.some(({ ffn }) => ffn.kind === 'moe')) throw error;
    const { allocateShare } = await import('./allocate-share.ts');
    return allocateShare(error, (gpuBudget) => LoadedModel.allocate(gpu, spec, gguf, { ...options, gpuBudget }), onWarning);
  });
  try {
    signal.throwIfAborted();
    const text = openText(gguf, onWarning);
    // A failure of the shards is the one to tell; this one is awaited below.
    text.catch(() => {});
    await model.prepare(loader, { signal });
    // The first session compiles the shaders, meanwhile, and shows that there is memory for one.
    const session = model.createSession();
    session.catch((error: unknown) => stop.abort(error));
    await loader.loadAll(
      model.isPaged ? loader.plan.shards.filter(({ kind }) => kind === 'trunk') : loader.plan.shards,
      async (shard, bytes) => {
        await model.upload(shard, bytes);
        progress.addUploaded(shard);
      },
      { signal },
    );
    progress.enter('compile');
    model.disposeSession(await session);
    await model.ready();
    signal.throwIfAborted();
    const service = new LocalModelService(model, lifeline, loader, await text, modelInfo(gguf, loader.plan, model, gpu.summary, await text), {
      uses,
      ...(options.warmUp ? { warmUp: await warmUpOf(options) } : {}),
    });
    progress.enter('ready');
    return service;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function warmUpOf({ onWarmUp = () => {} }: LoadOptions): Promise<(download: WarmUp['download']) => WarmUp> {
  const { WarmUp: Kind } = await import('./warm-up.ts');
  return (download) => new Kind(download, onWarmUp);
}
