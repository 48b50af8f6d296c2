import { basename } from 'node:path';
import { count, defined, precision, type Options } from '../../packages/cli/src/args.ts';
import { hostName, modelPath, print, runAlone } from '../src/command.ts';
import { digits, table } from '../src/numbers.ts';
import type { PassProfile, ProfileReport, ProfileResult } from './types.ts';

/** Where the time of a decoded token and of a prefill chunk goes, stage by stage. */
export async function profileCommand(options: Options): Promise<void> {
  const report = await runAlone(options, 'profile', {
    context: count(options, 'context', 1) ?? 128,
    chunk: count(options, 'chunk', 1) ?? 512,
    sampled: options['sampled'] === true,
    ...defined({ bareKernels: options['bare-kernels'] === true ? true : undefined, precision: precision(options) }),
  });
  print(options, { command: 'profile', model: basename(modelPath(options)), host: hostName(options), report }, showProfile);
}

/** Stages in the order in which they run, against the time that their bytes and dispatches alone would take. */
export function showProfile({ model, host, report }: ProfileResult): string {
  const { adapter, clock, readBytesPerUs, dispatchUs, decode, prefill, encodeUs } = report;
  return [
    `profile · ${model} · ${host} · ${adapter.vendor} ${adapter.architecture} ${adapter.description} · ${clock}`,
    `memory read by a shader ${digits(readBytesPerUs / 1000)} GB/s · one more dispatch ${digits(dispatchUs)} µs · JavaScript to encode and submit a token ${digits(encodeUs)} µs`,
    '',
    `decode, one token at context ${decode.context}: ${digits(decode.wholeUs)} µs (${digits(1e6 / decode.wholeUs)} tok/s) in ${decode.dispatches} dispatches`,
    stageTable(decode, report),
    '',
    `prefill, ${prefill.tokens} tokens at context ${prefill.context}: ${digits(prefill.wholeUs)} µs (${digits((prefill.tokens * 1e6) / prefill.wholeUs)} tok/s) in ${prefill.dispatches} dispatches`,
    stageTable(prefill, report),
  ].join('\n');
}

function stageTable({ stages, wholeUs }: PassProfile, { readBytesPerUs, dispatchUs }: ProfileReport): string {
  const sum = stages.reduce((total, { us }) => total + us, 0);
  const floorOf = (dispatches: number, bytes = 0) => dispatches * dispatchUs + bytes / readBytesPerUs;
  const rows = stages.map(({ stage, dispatches, us, bytes, flops }) => [
    stage,
    String(dispatches),
    digits(us),
    `${((100 * us) / sum).toFixed(1)}%`,
    digits(us / dispatches),
    digits(bytes && bytes / us / 1000),
    digits(flops && flops / us / 1e6),
    digits(floorOf(dispatches, bytes)),
    `${digits(us / floorOf(dispatches, bytes))}×`,
  ]);
  const dispatches = stages.reduce((total, stage) => total + stage.dispatches, 0);
  const floor = stages.reduce((total, stage) => total + floorOf(stage.dispatches, stage.bytes), 0);
  const total = ['sum of the stages', String(dispatches), digits(sum), `${digits((100 * sum) / wholeUs)}% of the pass`, '', '', '', digits(floor), `${digits(sum / floor)}×`];
  return table(['stage', 'dispatches', 'µs', 'share', 'µs each', 'GB/s', 'TFLOP/s', 'floor µs', 'over floor'], [...rows, total]);
}
