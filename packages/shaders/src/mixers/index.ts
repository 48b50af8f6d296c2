export * from './delta-net.ts';
export * from './head-product.ts';
export * from './latent-cache.ts';
export * from './output-gate.ts';
export * from './short-conv.ts';
