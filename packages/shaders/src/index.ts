export * from './context.ts';
export * from './errors.ts';
export * from './moe-gather.ts';
export * from './moe-plan.ts';
export * from './planar.ts';
export * from './rmsnorm.ts';
export * from './router.ts';
export * from './step.ts';
