import { fileURLToPath } from 'node:url';
import { build } from 'vite';

/** Bundles a module, with everything that it imports, into the text of one ES module. @param entry its path, from this folder if relative */
export async function bundle(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'warn',
    root: fileURLToPath(new URL('.', import.meta.url)),
    build: {
      write: false,
      minify: false,
      target: 'es2023',
      lib: { entry, formats: ['es'] },
      // Case files are imported for what they do (register cases), though their package claims no side effects.
      rolldownOptions: { external: /^node:/, treeshake: false, output: { codeSplitting: false } },
    },
  });
  const outputs = [result].flat().flatMap((built) => ('output' in built ? built.output : []));
  const chunks = outputs.filter((output) => output.type === 'chunk');
  const [chunk] = chunks;
  if (!chunk || chunks.length > 1) throw new Error(`${entry} bundles into ${chunks.length} chunks, expected one`);
  return chunk.code;
}
