export * from './residual-mix.ts';
export * from './softcap.ts';
