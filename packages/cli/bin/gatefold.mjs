#!/usr/bin/env node
// Builds the command's own bundle and the page that it drives if they are missing or older than the sources.
import { ensureBuilt } from '../build.mjs';

await ensureBuilt();
const { main } = await import('../dist/node/main.js');
process.exitCode = await main(process.argv.slice(2));
