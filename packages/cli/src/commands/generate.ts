import { writeFile } from 'node:fs/promises';
import { count, defined, number, promptInput, text, type Options } from '../args.ts';
import type { GenerateJob, GenerateReport, MeshReport } from '../job/types.ts';
import { snakeCase } from '../snake-case.ts';
import type { Command } from './command.ts';
import { modelOptions } from './model-options.ts';
import { roomOptions } from './room-options.ts';

/** Without an end in sight a model writes until the context is full. */
const DEFAULT_MAX_TOKENS = 256;

/** Streams text to the terminal; with --json the last line of stdout is the report. */
export const generateCommand: Command = async (options) => {
  const job = await generateJob(options);
  return async ({ host, terminal, signal }) => {
    const report = await host.run(job, { emit: (event) => terminal.show(event), signal });
    terminal.endLine();
    const traceFile = text(options, 'trace');
    if (traceFile !== undefined) await writeFile(traceFile, JSON.stringify(report.trace));
    const { ids, promptIds, adapter, mesh } = report;
    const { mesh: _, ...stats } = report.stats;
    const shown = { ...snakeCase(stats), ...(mesh && { mesh: { ...snakeCase(mesh), step_ms: mesh.stepMs } }), adapter: snakeCase(adapter) };
    if (options['json']) terminal.json({ ids, text: report.text, prompt_ids: promptIds, stats: shown });
    else terminal.note(`${ids.length} tokens · prefill ${stats.prefillTps.toFixed(1)} tok/s · decode ${stats.decodeTps.toFixed(1)} tok/s${expertsFound(stats)}${mesh ? inRoom(mesh) : ''}`);
  };
};

async function generateJob(options: Options): Promise<GenerateJob> {
  const input = promptInput(options);
  const maxTokens = count(options, 'max-tokens') ?? DEFAULT_MAX_TOKENS;
  const sampling = defined({
    temperature: number(options, 'temperature'),
    topK: count(options, 'top-k'),
    topP: number(options, 'top-p'),
    minP: number(options, 'min-p'),
    repeatPenalty: number(options, 'repeat-penalty'),
    seed: count(options, 'seed'),
  });
  return { command: 'generate', input, maxTokens, sampling, ...roomOptions(options), ...(await modelOptions(options)) };
}

/** What a room did for the answer. */
function inRoom({ tabs, remoteShare, messagesPerToken, failovers, bans }: MeshReport): string {
  const lost = failovers > 0 ? `, ${failovers} parts computed at home in a peer's stead` : '';
  const banned = bans.map(({ peer, reason }) => `\nbanned: ${peer.slice(0, 8)}, which ${reason}`).join('');
  return ` · ${tabs} tabs, ${(100 * remoteShare).toFixed(1)}% of experts at peers, ${messagesPerToken.toFixed(1)} messages a token${lost}${banned}`;
}

/** Where experts had to be brought to the GPU: how many were there, and what the others took. */
function expertsFound({ expertHits, expertMisses, expertBytes, promptTokens, generatedTokens }: Omit<GenerateReport['stats'], 'mesh'>): string {
  if (expertMisses === 0) return '';
  const share = (100 * expertHits) / (expertHits + expertMisses);
  return ` · ${share.toFixed(1)}% of experts found, ${(expertBytes / 1e6 / (promptTokens + generatedTokens)).toFixed(2)} MB brought a token`;
}
