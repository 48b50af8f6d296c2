/** Decoders of tensor types that few files have, keyed as in `context.ts`. */
export const decoders: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(import.meta.glob<string>('../wgsl/quant/{q2_k,q3_k,q4_1,q5_0,q5_1,q5_k,iq4}.wesl', { query: '?raw', import: 'default', eager: true })).map(
    ([path, text]) => [path.replace('../wgsl/', ''), text],
  ),
);
