export * from './add-positions.ts';
export * from './layer-norm.ts';
export * from './residual-mix.ts';
export * from './softcap.ts';
export * from './sparse-mixer.ts';
