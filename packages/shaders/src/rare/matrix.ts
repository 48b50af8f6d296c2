/** What GEMMs on subgroup matrices are made of, keyed as in `context.ts`. */
export const matrix: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(import.meta.glob<string>('../wgsl/matrix/*.wesl', { query: '?raw', import: 'default', eager: true })).map(([path, text]) => [path.replace('../wgsl/', ''), text]),
);
