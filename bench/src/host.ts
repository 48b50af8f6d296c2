import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadInNode } from '@gatefold/runtime/node';
import { openJobPage } from '../../packages/cli/src/hosts/job-page.ts';
import { openDawn } from '../../packages/cli/src/hosts/node.ts';
import { PathSource } from '../../packages/runtime/src/shards/sources/path.ts';
import { loadModel } from '../../packages/runtime/src/worker/load-model.ts';
import { swiftShaderIcd } from '../../scripts/browser.mjs';
import { runJob, type Emit, type Environment, type JobOf, type ReportOf } from './job.ts';

/** Somewhere to measure one model file. */
export interface BenchHost {
  run<Kind extends keyof JobOf>(kind: Kind, job: JobOf[Kind], emit: Emit): Promise<ReportOf[Kind]>;
  /** Makes the operating system forget what the browser has stored, so that it is read from the disk. */
  dropFileCache(): Promise<void>;
  close(): Promise<void>;
}

/** With these the page is cross-origin isolated: wllama gets its threads, and clocks tick in 5 µs instead of 100. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

export type HostName = 'chromium' | 'node';

/** @param model path of a GGUF file */
export function openBenchHost(name: HostName, model: string): Promise<BenchHost> {
  return name === 'chromium' ? chromiumHost(model) : nodeHost(model);
}

/** A page whose storage lies on the disk, as a visitor's does; a fresh profile each time. */
async function chromiumHost(model: string): Promise<BenchHost> {
  const profile = await mkdtemp(join(tmpdir(), 'gatefold-bench-'));
  const root = join(dirname(fileURLToPath(import.meta.url)), '../page');
  const { page, run, close } = await openJobPage({ root, headers: ISOLATED, profile });
  await page.setInputFiles('#model', model);
  return {
    run: (kind, job, emit) => run({ kind, job }, ({ message }: { readonly message: string }) => emit(message)),
    dropFileCache: () => dropFileCache(profile),
    async close() {
      await close();
      await rm(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Needs no rights: each file is written to the disk, then dropped by `posix_fadvise`, which `dd` (of GNU) knows. */
async function dropFileCache(folder: string): Promise<void> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  for (const { parentPath, name } of files) {
    await promisify(execFile)('dd', [`of=${join(parentPath, name)}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']).catch(() => {});
  }
}

/** This process, over Dawn: on the real GPU where one is chosen as for Chromium, else on SwiftShader. */
async function nodeHost(model: string): Promise<BenchHost> {
  const { env } = process;
  const chosen = env['GATEFOLD_GPU'] === 'real' || env['VK_DRIVER_FILES'] !== undefined;
  const icd = chosen ? undefined : swiftShaderIcd();
  if (icd) env['VK_ICD_FILENAMES'] ??= icd;
  // Mesa's Vulkan layers warn on every start where it is unset.
  env['XDG_RUNTIME_DIR'] ??= tmpdir();
  const { gpu, release } = openDawn();
  const environment: Environment = {
    gpu,
    program: `Node ${process.version}`,
    source: () => new PathSource(model),
    load: (options) => loadInNode(model, options, gpu),
    open: (options) => loadModel(() => new PathSource(model), options, gpu),
    wllama: () => Promise.reject(new Error('wllama runs in Chromium only: leave --host out, or say --peer none.')),
    qmoe: () => Promise.reject(new Error('onnxruntime-web runs in Chromium only.')),
  };
  return { run: (kind, job, emit) => runJob(kind, job, environment, emit), dropFileCache: async () => {}, close: async () => release() };
}
