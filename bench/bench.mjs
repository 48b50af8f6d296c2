// `npm run bench`: builds the bundles if they are missing or older than the sources, and runs.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BUILT, ensureBuilt } from './build.mjs';

await ensureBuilt();
const { main } = await import(pathToFileURL(join(BUILT, 'node/main.js')).href);
process.exitCode = await main(process.argv.slice(2));
