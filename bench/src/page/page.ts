import { load } from '@gatefold/runtime';
import { openSource } from '../../../packages/runtime/src/shards/sources/open.ts';
import { loadModel } from '../../../packages/runtime/src/worker/load-model.ts';
import { measureWllama } from '../../compare/wllama.ts';
import { runJob, type Environment, type JobOf } from '../job.ts';

/** The model file that the command chose, read from the disk without a server between. */
function modelFile(): File {
  const file = document.querySelector<HTMLInputElement>('#model')?.files?.[0];
  if (!file) throw new Error('no model file was chosen');
  return file;
}

const environment: Environment = {
  gpu: navigator.gpu,
  program: /\w*Chrom\w*\/[\d.]+/.exec(navigator.userAgent)?.[0] ?? navigator.userAgent,
  source: () => openSource(modelFile(), () => {}),
  load: (options) => load(modelFile(), options),
  open: (options) => loadModel((onWarning) => openSource(modelFile(), onWarning), options),
  wllama: (job, emit) => measureWllama(modelFile(), job, emit),
  qmoe: async (job, emit) => (await import('../../qmoe/measure.ts')).measureQmoe(job, emit),
};

Object.assign(window, {
  gatefoldLoad: load,
  sliceEnd: async (partBytes: number) => new (await import('../../mesh-slices/slice-end.ts')).SliceEnd(partBytes),
  async gatefoldRun<Kind extends keyof JobOf>({ kind, job }: { readonly kind: Kind; readonly job: JobOf[Kind] }) {
    try {
      return { report: await runJob(kind, job, environment, (message) => void window.gatefoldEvent({ kind: 'progress', message })) };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
      return { error: { code, message: error instanceof Error ? error.message : String(error) } };
    }
  },
});
