export * from './head-product.ts';
export * from './latent-cache.ts';
