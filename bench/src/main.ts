import { UsageError, type Options } from '../../packages/cli/src/args.ts';
import { JobError } from '../../packages/cli/src/hosts/host.ts';
import { compareCommand } from '../compare/command.ts';
import { demoCommand } from '../demo/command.ts';
import { loadCommand } from '../compare/load-command.ts';
import { meshCommand } from '../mesh/command.ts';
import { meshCostCommand } from '../mesh-cost/command.ts';
import { meshFixturesCommand } from '../mesh-fixtures/command.ts';
import { meshSlicesCommand } from '../mesh-slices/command.ts';
import { meshSoakCommand } from '../mesh-soak/command.ts';
import { meshStallCommand } from '../mesh-stall/command.ts';
import { moeBlockCommand } from '../moe-block/command.ts';
import { onDemandCommand } from '../on-demand/command.ts';
import { perplexityCommand } from '../perplexity/command.ts';
import { plotsCommand } from '../plots/command.ts';
import { productsCommand } from '../products/command.ts';
import { profileCommand } from '../profile/command.ts';
import { reportCommand } from '../report/command.ts';
import { residencyCommand } from '../residency/command.ts';
import { storageCommand } from '../storage/command.ts';
import { synthCommand } from '../synth/command.ts';
import { uploadCommand } from '../upload/command.ts';
import { parseCommand, USAGE, type CommandName } from './args.ts';

const RUN: Readonly<Record<CommandName, (options: Options) => Promise<void>>> = {
  compare: compareCommand,
  demo: demoCommand,
  load: loadCommand,
  'moe-block': moeBlockCommand,
  ondemand: onDemandCommand,
  products: productsCommand,
  profile: profileCommand,
  mesh: meshCommand,
  'mesh-cost': meshCostCommand,
  'mesh-fixtures': meshFixturesCommand,
  'mesh-slices': meshSlicesCommand,
  'mesh-soak': meshSoakCommand,
  'mesh-stall': meshStallCommand,
  perplexity: perplexityCommand,
  residency: residencyCommand,
  storage: storageCommand,
  synth: synthCommand,
  upload: uploadCommand,
  plots: plotsCommand,
  report: reportCommand,
};

/** @param argv arguments after the script's name @returns the exit status: 0, 1 for a failed measurement, 2 for wrong usage */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const { command, options } = parseCommand(argv);
    if (command === 'help') process.stdout.write(USAGE);
    else await RUN[command](options);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`bench: ${error.message}\n`);
      return 2;
    }
    const code = error instanceof JobError ? ` [${error.code}]` : '';
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}${code}\n`);
    return 1;
  }
}
