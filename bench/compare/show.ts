import { digits, median, table } from '../../packages/cli/src/numbers.ts';
import type { CompareResult, LoadResult, SpeedReport } from './types.ts';

const HEAD = ['engine', 'backend', 'prefill tok/s', 'decode tok/s', 'dispatches', 'submits', 'GPU MB', 'load ms'];

/** The engines' medians, one a row, then how many times faster the first is than each other. */
export function showCompare({ model, host, sampling, rows }: CompareResult): string {
  const reports = rows.flatMap((row) => ('report' in row ? [row.report] : []));
  const errors = rows.flatMap((row) => ('error' in row ? [`${row.engine}: ${row.error}`] : []));
  const [first] = reports;
  const adapter = reports.find((report) => report.adapter)?.adapter;
  const program = reports.find((report) => report.program)?.program;
  const how = Object.entries(sampling).map(([name, value]) => `${name} ${value}`);
  const title = [
    model,
    program ?? host,
    ...(adapter ? [`${adapter.vendor} ${adapter.architecture} ${adapter.description}`] : []),
    ...(first ? [`prompt ${first.promptTokens}, answer ${first.genTokens}, ${first.sessions > 1 ? `${first.sessions} sessions, ` : ''}median of ${first.runs.length}`] : []),
    how.length > 0 ? how.join(' ') : 'greedy',
  ];
  const ratios = first?.engine === 'gatefold' ? reports.slice(1).map((other) => ratioRow(first, other)) : [];
  return [title.join(' · '), '', table(HEAD, [...reports.map(engineRow), ...ratios]), ...errors.map((error) => `\n${error}`)].join('\n');
}

function engineRow({ engine, backend, runs, counts, loadMs }: SpeedReport): string[] {
  return [
    engine,
    backend,
    digits(median(runs.map(({ prefillTps }) => prefillTps))),
    digits(median(runs.map(({ decodeTps }) => decodeTps))),
    digits(counts?.dispatchesPerToken),
    digits(counts?.submitsPerToken),
    digits(counts && counts.gpuBytes / 1e6),
    loadMs.toFixed(0),
  ];
}

function ratioRow(ours: SpeedReport, other: SpeedReport): string[] {
  const times = (rate: 'prefillTps' | 'decodeTps') => `${digits(median(ours.runs.map((run) => run[rate])) / median(other.runs.map((run) => run[rate])))}×`;
  return [`ours / ${other.engine.split(' ')[0]}`, other.backend, times('prefillTps'), times('decodeTps'), '', '', '', `${digits(other.loadMs / ours.loadMs)}×`];
}

/** Medians of the loads from the store. */
export function showLoad({ model, host, store, report }: LoadResult): string {
  const { firstMs, storedMs, firstTokenMs, fileBytes, bytesFetched } = report;
  const row = [`${digits(fileBytes / 1e6)} MB`, firstMs.toFixed(0), median(storedMs).toFixed(0), median(firstTokenMs).toFixed(0), `${digits(bytesFetched / 1e6)}`];
  const stages = report.stages.map(({ name, ms, bytes }) => [name, ms.toFixed(0), digits(bytes && bytes / ms / 1e6)]);
  return [
    `load · ${model} · ${host} · ${store}`,
    '',
    table(['file', 'first load ms', 'stored: ready ms', 'stored: first token ms', 'stored: MB from elsewhere'], [row]),
    '',
    table(['stage alone, from the store', 'ms', 'GB/s'], stages),
  ].join('\n');
}
