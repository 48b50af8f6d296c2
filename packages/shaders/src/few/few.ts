export * from './gemm.ts';
export * from './grouped.ts';
