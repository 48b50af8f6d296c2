import { basename } from 'node:path';
import { count, defined, precision, type Options } from '../../packages/cli/src/args.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import type { MoeBlockResult } from './types.ts';

/** The MoE block alone, ours against one-hot dispatch with a host loop over experts. */
export async function moeBlockCommand(options: Options): Promise<void> {
  const report = await runAlone(options, 'moe-block', {
    tokens: count(options, 'tokens', 2) ?? 512,
    ...defined({ bareKernels: options['bare-kernels'] === true ? true : undefined, precision: precision(options) }),
  });
  await print(options, { command: 'moe-block', model: basename(modelPath(options)), host: hostName(options), report }, showMoeBlock);
}

/** One row a mode: microseconds of a layer's block, and how many times faster ours is. */
export function showMoeBlock({ model, host, report }: MoeBlockResult): string {
  const { adapter, clock, layers, modes } = report;
  const rows = modes.map(({ mode, tokens, oursUs, baselineUs, oursDispatches, baselineDispatches, capacity, difference }) => [
    `${mode}, ${tokens} ${tokens === 1 ? 'token' : 'tokens'}`,
    digits(oursUs),
    digits(baselineUs),
    `${digits(baselineUs / oursUs)}×`,
    digits(oursDispatches),
    digits(baselineDispatches),
    String(capacity),
    difference.toExponential(1),
  ]);
  return [
    `MoE block · ${model}, ${layers} layers · ${host} · ${adapter.vendor} ${adapter.architecture} ${adapter.description} · ${clock}`,
    '',
    table(['router to weighted sum', 'ours µs', 'one-hot + loop µs', 'ratio', 'our dispatches', 'its dispatches', 'capacity', 'difference'], rows),
  ].join('\n');
}
