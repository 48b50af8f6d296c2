import { defined } from '../../packages/cli/src/args.ts';
import { measureProfile as measure } from '../../packages/cli/src/profile/measure.ts';
import type { Emit, Environment } from '../src/job.ts';
import type { ProfileJob, ProfileReport } from './types.ts';

/** What `gatefold bench --profile` measures, in any of the bench's environments. */
export function measureProfile({ bareKernels, precision, ...job }: ProfileJob, { open }: Environment, emit: Emit): Promise<ProfileReport> {
  return measure(job, (options) => open({ ...options, store: 'none', ...defined({ bareKernels, precision }) }), emit);
}
