import { digits, table } from '../numbers.ts';
import type { PassProfile, ProfileReport } from './types.ts';

/** Stages in the order in which they run, against the time that their bytes and dispatches alone would take. @param where model and host */
export function showProfile(where: readonly string[], report: ProfileReport): string {
  const { adapter, clock, readBytesPerUs, dispatchUs, decode, batch, prefill, encodeUs } = report;
  return [
    ['profile', ...where, `${adapter.vendor} ${adapter.architecture} ${adapter.description}`.trim(), clock].join(' · '),
    `memory read by a shader ${digits(readBytesPerUs / 1000)} GB/s · one more dispatch ${digits(dispatchUs)} µs · JavaScript to encode and submit a token ${digits(encodeUs)} µs`,
    '',
    `decode, one token at context ${decode.context}: ${digits(decode.wholeUs)} µs (${digits(1e6 / decode.wholeUs)} tok/s) in ${decode.dispatches} dispatches`,
    stageTable(decode),
    '',
    ...(batch
      ? [
          `decode, one token of each of ${batch.tokens} sessions at context ${batch.context}: ${digits(batch.wholeUs)} µs (${digits((batch.tokens * 1e6) / batch.wholeUs)} tok/s, ${digits((batch.tokens * decode.wholeUs) / batch.wholeUs)}× one session's) in ${batch.dispatches} dispatches`,
          stageTable(batch),
          '',
        ]
      : []),
    `prefill, ${prefill.tokens} tokens at context ${prefill.context}: ${digits(prefill.wholeUs)} µs (${digits((prefill.tokens * 1e6) / prefill.wholeUs)} tok/s) in ${prefill.dispatches} dispatches`,
    stageTable(prefill),
  ].join('\n');
}

function stageTable({ stages, wholeUs }: PassProfile): string {
  const sum = stages.reduce((total, { us }) => total + us, 0);
  const rows = stages.map(({ stage, dispatches, us, floorUs, bytes, flops }) => [
    stage,
    String(dispatches),
    digits(us),
    `${((100 * us) / sum).toFixed(1)}%`,
    digits(us / dispatches),
    digits(bytes && bytes / us / 1000),
    digits(flops && flops / us / 1e6),
    digits(floorUs),
    `${digits(us / floorUs)}×`,
  ]);
  const dispatches = stages.reduce((total, stage) => total + stage.dispatches, 0);
  const floor = stages.reduce((total, stage) => total + stage.floorUs, 0);
  const total = ['sum of the stages', String(dispatches), digits(sum), `${digits((100 * sum) / wholeUs)}% of the pass`, '', '', '', digits(floor), `${digits(sum / floor)}×`];
  return table(['stage', 'dispatches', 'µs', 'share', 'µs each', 'GB/s', 'TFLOP/s', 'floor µs', 'over floor'], [...rows, total]);
}
