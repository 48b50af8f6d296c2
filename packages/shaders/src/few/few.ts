export * from './gemm.ts';
export * from './grouped.ts';
export * from './stack-rows.ts';
