import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { findLlvmpipeIcd } from '../../../../scripts/firefox.mjs';
import { bundle } from './bundle.ts';

/** A program in Deno that answers each line on its stdin with a line on its stdout, both JSON. */
export interface DenoProcess<Answer> {
  /** The answer, or undefined where the program has ended. */
  ask(request: unknown): Promise<Answer | undefined>;
  /** How it ended: exit code or signal. */
  readonly end: string;
  close(): Promise<void>;
}

/**
 * Bundles and starts a module in Deno with its wgpu (Naga) on llvmpipe, or on the real GPU if `GATEFOLD_GPU=real`.
 * @param entry path of the module
 */
export async function startDeno<Answer>(entry: string): Promise<DenoProcess<Answer>> {
  const folder = await mkdtemp(join(tmpdir(), 'gatefold-deno-'));
  const script = join(folder, 'guest.mjs');
  await writeFile(script, await bundle(entry));
  const icd = process.env['GATEFOLD_GPU'] === 'real' ? undefined : findLlvmpipeIcd();
  const program = join(dirname(createRequire(import.meta.url).resolve('deno/package.json')), 'bin.cjs');
  const deno = spawn(process.execPath, [program, 'run', '-A', '--unstable-webgpu', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // wgpu warns on every start where XDG_RUNTIME_DIR is unset.
    env: { XDG_RUNTIME_DIR: folder, ...process.env, ...(icd ? { VK_ICD_FILENAMES: icd } : {}), NO_COLOR: '1' },
  });
  const ended = once(deno, 'exit');
  const answers = createInterface({ input: deno.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      deno.stdin.write(`${JSON.stringify(request)}\n`);
      const line = await answers.next();
      if (line.done) return undefined;
      const answer: Answer = JSON.parse(line.value);
      return answer;
    },
    get end() {
      return String(deno.exitCode ?? deno.signalCode);
    },
    async close() {
      deno.stdin.end();
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
