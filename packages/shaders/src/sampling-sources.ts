const PLACE = './wgsl/';

/** Kernels of the sampler, keyed by path below `wgsl/`. */
export const samplingSources: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(
    import.meta.glob<string>('./wgsl/sampling/*.wesl', { query: '?raw', import: 'default', eager: true }),
  ).map(([path, text]) => [path.slice(PLACE.length), text]),
);
