// The library as a page downloads it: `dist/index.js`, the worker that it starts, and chunks that load when needed.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { noPreload } from '../../scripts/vite/no-preload.ts';
import { stripWesl } from '../../scripts/vite/strip-wesl.ts';

/** A name of its own for what only models of one family need. */
const chunkName = (start: string) => (chunk: { readonly facadeModuleId?: string | null }) =>
  `${start}-${chunk.facadeModuleId?.includes('/model/families/') ? 'family-' : ''}[name]-[hash].js`;

/** Tokenisers and template engine lie in files of their own: `size-limit` counts them apart. */
const output = {
  entryFileNames: '[name].js',
  chunkFileNames: chunkName('chunk'),
  assetFileNames: '[name]-[hash][extname]',
  codeSplitting: {
    groups: [
      { name: 'preload', test: /vite[\\/]preload-helper/ },
      { name: 'text', test: /@huggingface[\\/](tokenizers|jinja)/ },
    ],
  },
};

/** The part of rolldown's context that `startsWith` asks. */
interface Modules {
  getModuleInfo(id: string): { readonly isEntry: boolean; readonly importers: readonly string[] } | null;
}

/** Whether an entry imports the module at once, by whatever way. */
function startsWith(id: string, modules: Modules, seen = new Set<string>()): boolean {
  if (seen.has(id)) return false;
  seen.add(id);
  const info = modules.getModuleInfo(id);
  return info !== null && (info.isEntry || info.importers.some((importer) => startsWith(importer, modules, seen)));
}

/** What page or worker starts with stays in one file, though chunks that load later share some of it: one compresses best. */
const core = { name: (id: string, modules: Modules) => (startsWith(id, modules) ? 'core' : null) };

const withCore = { ...output, codeSplitting: { groups: [...output.codeSplitting.groups, core] } };

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  plugins: [noPreload(), stripWesl()],
  worker: {
    format: 'es',
    plugins: () => [stripWesl()],
    rolldownOptions: {
      output: { ...withCore, entryFileNames: 'worker-[name]-[hash].js', chunkFileNames: chunkName('worker') },
    },
  },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    modulePreload: false,
    rolldownOptions: { input: { index: 'src/index.ts' }, preserveEntrySignatures: 'strict', output: withCore },
  },
});
