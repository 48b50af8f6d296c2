export * from './attention-rows.ts';
export * from './gemm.ts';
export * from './grouped.ts';
