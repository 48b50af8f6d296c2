import { measureProfile as measure } from '../../packages/cli/src/profile/measure.ts';
import type { Emit, Environment } from '../src/job.ts';
import type { ProfileJob, ProfileReport } from './types.ts';

/** What `gatefold bench --profile` measures, in any of the bench's environments. */
export function measureProfile({ bareKernels, precision, ...job }: ProfileJob, { open }: Environment, emit: Emit): Promise<ProfileReport> {
  const variants = { ...(bareKernels === undefined ? {} : { bareKernels }), ...(precision === undefined ? {} : { precision }) };
  return measure(job, (sizes) => open({ ...sizes, ...variants, store: 'none' }), emit);
}
