/** Kernels of one token's attention, keyed as in `context.ts`: loaded with the first session. */
export const decodeSources: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(import.meta.glob<string>('./wgsl/attention_{decode,split,combine}.wesl', { query: '?raw', import: 'default', eager: true })).map(([path, text]) => [path.replace('./wgsl/', ''), text]),
);
