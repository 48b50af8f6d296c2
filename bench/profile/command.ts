import { basename } from 'node:path';
import { count, defined, precision, type Options } from '../../packages/cli/src/args.ts';
import { showProfile as show } from '../../packages/cli/src/profile/show.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import type { ProfileResult } from './types.ts';

/** Where the time of a decoded token and of a prefill chunk goes, stage by stage. */
export async function profileCommand(options: Options): Promise<void> {
  const report = await runAlone(options, 'profile', {
    context: count(options, 'context', 1) ?? 128,
    chunk: count(options, 'chunk', 1) ?? 512,
    sampled: options['sampled'] === true,
    sessions: count(options, 'sessions', 1) ?? 1,
    ...defined({ bareKernels: options['bare-kernels'] === true ? true : undefined, precision: precision(options) }),
  });
  await print(options, { command: 'profile', model: basename(modelPath(options)), host: hostName(options), report }, showProfile);
}

export function showProfile({ model, host, report }: ProfileResult): string {
  return show([model, host], report);
}
