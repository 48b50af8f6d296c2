// What a page downloads at once, and what when it is needed; by the import statements of the built files.
import { readdirSync, readFileSync } from 'node:fs';

const DIST = 'packages/runtime/dist';
const files = readdirSync(DIST).filter((name) => name.endsWith('.js'));
const read = (/** @type {string} */ file) => readFileSync(`${DIST}/${file}`, 'utf8');

/**
 * The file with all that it imports at once.
 * @param {string} file
 * @param {Set<string>} [found]
 */
function withImports(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, next = ''] of read(file).matchAll(/(?:from|import)"\.\/([^"]+)"/g)) withImports(next, found);
  return found;
}

const named = (/** @type {string} */ start) => files.filter((name) => name.startsWith(start));
const page = withImports('index.js');
const pageText = [...page].map(read).join('\n');
const worker = new Set(named('worker-').filter((name) => pageText.includes(name)).flatMap((name) => [...withImports(name)]));
const inThread = named('chunk-in-thread-').flatMap((name) => [...withImports(name)]).filter((name) => !page.has(name));
const rooms = named('chunk-mesh-').flatMap((name) => [...withImports(name)]).filter((name) => !page.has(name));
const later = named('worker-').filter((name) => !worker.has(name));
const kinds = {
  sampling: /^worker-(sampler|decode-sources)-/,
  families: /^worker-family-/,
  rare: /^worker-(rare|routers|decoders|evaluate|beside|split)-/,
  matrix: /^worker-matrix-/,
  store: /^worker-(opfs|readers|reader)-/,
  batch: /^worker-(decode-batch|few|all-logits)-/,
  mixers: /^worker-(mixers|mla|short-conv|delta-net)-/,
  mesh: /^worker-(room-engine)-/,
  onDemand: /^worker-(on-demand|hasten|manifest-beside|allocate-share|download|warm-up)-/,
};
const ofKind = (/** @type {RegExp} */ kind) => later.filter((name) => kind.test(name));
const text = later.filter((name) => !Object.values(kinds).some((kind) => kind.test(name)));

const entry = (/** @type {string} */ name, /** @type {Iterable<string>} */ paths, /** @type {string} */ limit) => ({
  name,
  path: Array.from(paths, (file) => `${DIST}/${file}`),
  gzip: true,
  limit,
});

export default [
  entry('@gatefold/runtime as a page downloads it: page and worker', [...page, ...worker], '100 kB'),
  entry('tokenisers and template engine, loaded when needed', text, '40 kB'),
  entry("sampling and one token's attention, loaded with the first session", ofKind(kinds.sampling), '10 kB'),
  entry("what is particular about all the model families; a page loads its model's", ofKind(kinds.families), '8 kB'),
  entry('what few models need: kernels, experts beside the routed ones, split files; and evaluation with all values in between', ofKind(kinds.rare), '7 kB'),
  entry('matrix products on subgroup matrices, loaded where the adapter has them', ofKind(kinds.matrix), '2 kB'),
  entry('sessions that share passes and kernels for few rows, loaded when several generate at once', ofKind(kinds.batch), '9 kB'),
  entry('files of the origin as a store, and the workers that read large models from it', ofKind(kinds.store), '6 kB'),
  entry('token mixers that few models have, loaded when a model has them', ofKind(kinds.mixers), '10 kB'),
  entry('experts on demand, manifests and downloads, loaded when a model has a GPU budget or is not stored yet', ofKind(kinds.onDemand), '10 kB'),
  entry('rooms: connections and signalling, loaded by the page when one is opened or joined', rooms, '12 kB'),
  entry('rooms: experts and layers at other devices, and the planner, loaded by the worker with a room', ofKind(kinds.mesh), '27 kB'),
  entry('the engine in place of the worker, for load with worker: false', inThread, '100 kB'),
];
