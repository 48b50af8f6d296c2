#!/usr/bin/env node
// Builds the command's own bundle and the page that it drives if they are missing or older than the sources.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt } from '../build.mjs';

// From within a workspace, npx starts its programs in the workspace's folder; paths are relative to where it was called.
const { INIT_CWD, npm_lifecycle_event, npm_lifecycle_script } = process.env;
if (npm_lifecycle_event === 'npx' && /^['"]?gatefold\b/.test(npm_lifecycle_script ?? '') && INIT_CWD) process.chdir(INIT_CWD);

const built = await ensureBuilt();
/** @type {{ main(argv: readonly string[]): Promise<number> }} */
const { main } = await import(pathToFileURL(join(built, 'node/main.js')).href);
process.exitCode = await main(process.argv.slice(2));
