export * from './context.ts';
export * from './errors.ts';
export * from './planar.ts';
export * from './rmsnorm.ts';
export * from './step.ts';
