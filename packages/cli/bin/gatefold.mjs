#!/usr/bin/env node
// Builds the command's own bundle and the page that it drives if they are missing or older than the sources.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from '../build.mjs';

const built = await ensureBuilt();
/** @type {{ main(argv: readonly string[]): Promise<number> }} */
const { main } = await import(pathToFileURL(join(built, 'node/main.js')).href);
process.exitCode = await main(process.argv.slice(2));
