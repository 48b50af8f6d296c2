import { tmpdir } from 'node:os';
import { create, globals } from 'webgpu';
import { loadInNode, openInNode } from '@gatefold/runtime/node';
import { SLOW_ON_SWIFTSHADER, swiftShaderIcd } from '../../../../scripts/browser.mjs';
import { failureOf } from '../job/failure.ts';
import { runJob } from '../job/run.ts';
import type { Job, Reports } from '../job/types.ts';
import { mayHaveGpu } from './graphics.ts';
import { JobError, type Host, type JobObserver } from './host.ts';

export interface Dawn {
  readonly gpu: GPU;
  /** Lets the process end. */
  release(): void;
}

// Dawn's instances must outlive every device, or the process crashes.
const instances: GPU[] = [];

/**
 * WebGPU in this process, over the npm package `webgpu` (Dawn). Dawn's toggles are those that CHROME_ARGS names
 * (`--enable-dawn-features=…`), so that Node and Chromium compute alike. Keeps the process alive until released.
 */
export function openDawn(): Dawn {
  const { env } = process;
  Object.assign(globalThis, globals);
  // Mesa's Vulkan layers warn on every start where it is unset.
  env['XDG_RUNTIME_DIR'] ??= tmpdir();
  const toggles = (env['CHROME_ARGS'] ?? '').split(/\s+/).flatMap((arg) => /^--((?:en|dis)able-dawn-features=.+)/.exec(arg)?.[1] ?? []);
  const icd = env['VK_ICD_FILENAMES'];
  if (icd !== undefined && icd === swiftShaderIcd()) toggles.push(`disable-dawn-features=${SLOW_ON_SWIFTSHADER}`);
  const gpu = create(toggles);
  instances.push(gpu);
  // Dawn's callbacks do not keep the process alive by themselves.
  const alive = setInterval(() => {}, 1000);
  return { gpu, release: () => clearInterval(alive) };
}

/** Dawn on the GPU; where there is none, or by `GATEFOLD_GPU=software`, on the SwiftShader that comes with Chromium. */
export async function openAnyDawn(): Promise<Dawn> {
  if (mayHaveGpu()) {
    const dawn = openDawn();
    if (await dawn.gpu.requestAdapter()) return dawn;
    dawn.release();
  }
  const icd = swiftShaderIcd();
  if (icd) process.env['VK_ICD_FILENAMES'] = icd;
  return openDawn();
}

/** Runs jobs in this process over Dawn, without a browser. */
export async function nodeHost(): Promise<Host> {
  const { gpu, release } = await openAnyDawn();
  return {
    async run<Command extends Job['command']>(job: Extract<Job, { readonly command: Command }>, { emit, deliver = async () => {}, signal }: JobObserver): Promise<Reports[Command]> {
      try {
        const report = await runJob(job, { load: (source, options) => loadInNode(source, options, gpu), open: (source, options) => openInNode(source, options, gpu), gpu: () => gpu, emit, deliver, signal });
        return report as Reports[Command];
      } catch (error) {
        signal.throwIfAborted();
        throw JobError.of(failureOf(error), { cause: error });
      }
    },
    async close() {
      release();
    },
  };
}
