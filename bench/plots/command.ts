import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError, requiredText, text, type Options } from '../../packages/cli/src/args.ts';
import { median } from '../../packages/cli/src/numbers.ts';
import type { CompareResult, SpeedReport } from '../compare/types.ts';
import type { ProfileResult } from '../profile/types.ts';
import { barPlot, linePlot, type Line } from './svg.ts';

/** As `report` gathers them, by name; null for what did not come to an end. Those of other commands are passed over. */
export type Results = Readonly<Record<string, ((CompareResult | ProfileResult) & { readonly date?: string }) | null>>;

/** Answers shorter than this say little of decoding. */
const LEAST_ANSWER = 32;

/** Draws what a results.json of `report` holds: `context.svg` and `stages.svg`, each where it has the figures. */
export async function plotsCommand(options: Options): Promise<void> {
  const file = requiredText(options, 'file');
  const out = text(options, 'out') ?? 'docs/speed';
  const results = JSON.parse(await readFile(file, 'utf8')) as Results;
  const drawn = Object.entries(plots(results, text(options, 'machine'))).filter(([, svg]) => svg !== undefined);
  if (drawn.length === 0) throw new UsageError(`${file} has neither decoding at several context lengths nor a profile.`);
  await mkdir(out, { recursive: true });
  for (const [name, svg] of drawn) {
    await writeFile(join(out, name), svg ?? '');
    process.stdout.write(`${join(out, name)}\n`);
  }
}

/** @param machine what the plots call it; default: as its adapter calls itself */
export function plots(results: Results, machine?: string): Readonly<Record<'context.svg' | 'stages.svg', string | undefined>> {
  return { 'context.svg': contextPlot(results, machine), 'stages.svg': stagesPlot(results, machine) };
}

/** Greedy decoding of one session over the prompt's length, of the model with most lengths. */
function contextPlot(results: Results, machine?: string): string | undefined {
  const models = new Map<string, { lines: Map<string, Map<number, number>>; date: string; adapter: string }>();
  for (const result of Object.values(results)) {
    if (result?.command !== 'compare' || Object.keys(result.sampling).length > 0) continue;
    const model = models.get(result.model) ?? { lines: new Map<string, Map<number, number>>(), date: '', adapter: '' };
    models.set(result.model, model);
    for (const row of result.rows) {
      if (!('report' in row) || row.report.sessions > 1 || row.report.genTokens < LEAST_ANSWER) continue;
      const { engine, promptTokens, runs } = row.report;
      const line = model.lines.get(engine) ?? new Map<number, number>();
      model.lines.set(engine, line.set(promptTokens, median(runs.map(({ decodeTps }) => decodeTps))));
      model.date = result.date ?? model.date;
      model.adapter ||= adapterName(row.report);
    }
  }
  const most = ({ lines }: { lines: Map<string, Map<number, number>> }) => Math.max(0, ...Array.from(lines.values(), ({ size }) => size));
  const [best] = [...models].sort(([, a], [, b]) => most(b) - most(a));
  if (!best || most(best[1]) < 2) return undefined;
  const [model, { lines, date, adapter }] = best;
  const drawn = Array.from(lines, ([name, points]): Line => ({ name, points: [...points].sort(([a], [b]) => a - b) }));
  return linePlot({ title: `Decoding ${model}`, subtitle: subtitle(machine ?? adapter, date), x: 'context, tokens', y: 'tokens a second', lines: drawn });
}

/** A decoded token's stages and their floors, of the profile at the shortest context. */
function stagesPlot(results: Results, machine?: string): string | undefined {
  const [found] = Object.values(results)
    .flatMap((result) => (result?.command === 'profile' ? [result] : []))
    .sort((a, b) => a.report.decode.context - b.report.decode.context);
  if (!found) return undefined;
  const { decode, adapter } = found.report;
  return barPlot({
    title: `A decoded token of ${found.model} at context ${decode.context}: ${Math.round(decode.wholeUs)} µs`,
    subtitle: subtitle(machine ?? `${adapter.vendor} ${adapter.architecture} ${adapter.description}`.trim(), found.date),
    x: 'µs, all layers together',
    series: ['measured', 'floor'],
    bars: decode.stages.map(({ stage, us, floorUs }) => ({ name: stage, values: [us, floorUs] })),
  });
}

function subtitle(machine: string, date: string | undefined): string {
  return [machine, date?.slice(0, 10)].filter(Boolean).join(' · ');
}

function adapterName({ adapter }: SpeedReport): string {
  return adapter ? `${adapter.vendor} ${adapter.architecture} ${adapter.description}`.trim() : '';
}
