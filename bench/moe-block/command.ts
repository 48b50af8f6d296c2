import { basename } from 'node:path';
import { count, defined, precision, type Options } from '../../packages/cli/src/args.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import type { QmoeJob, QmoeRow } from '../qmoe/types.ts';
import type { MoeBlockReport, MoeBlockResult } from './types.ts';

/** The MoE block alone, ours against one-hot dispatch with a host loop over experts, and beside onnxruntime-web's. */
export async function moeBlockCommand(options: Options): Promise<void> {
  const report = await runAlone(options, 'moe-block', {
    tokens: count(options, 'tokens', 2) ?? 512,
    ...defined({ bareKernels: options['bare-kernels'] === true ? true : undefined, precision: precision(options) }),
  });
  const qmoe = await peerRow(options, { ...report.shape, tokens: report.modes.map(({ tokens }) => tokens), runs: 5 });
  await print(options, { command: 'moe-block', model: basename(modelPath(options)), host: hostName(options), report, qmoe }, showMoeBlock);
}

async function peerRow(options: Options, job: QmoeJob): Promise<QmoeRow> {
  try {
    return { report: await runAlone(options, 'qmoe', job) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** One row a mode: microseconds of a layer's block, and how many times faster ours is. */
export function showMoeBlock({ model, host, report, qmoe }: MoeBlockResult): string {
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
    '',
    showQmoe(report, qmoe),
  ].join('\n');
}

/** Of the same sizes, with random weights of its own: from the router's product to the weighted sum, without the norm. */
function showQmoe({ modes }: MoeBlockReport, qmoe: QmoeRow): string {
  if ('error' in qmoe) return `onnxruntime-web's QMoE block does not run here: ${qmoe.error}`;
  const { engine, precision: of, modes: theirs } = qmoe.report;
  const rows = theirs.map(({ tokens, us }) => {
    const ours = modes.find((mode) => mode.tokens === tokens)?.oursUs ?? NaN;
    return [`${tokens} ${tokens === 1 ? 'token' : 'tokens'}`, digits(ours), digits(us), `${digits(us / ours)}×`];
  });
  return table([`${engine} QMoE, ${of}`, 'ours µs', 'its µs', 'ratio'], rows);
}
