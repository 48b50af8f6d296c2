export { load } from './client/load.ts';
export { deleteModel, listModels, requestPersistence } from './client/stored-models.ts';
export { requestGpu } from './engine/device.ts';

export type * from './api/mesh.ts';
export type * from './api/types.ts';
export type * from './api/openai.ts';
export type { StoredModel } from './shards/store/store.ts';

export { GatefoldError } from './errors.ts';
export * from './api/errors.ts';
export * from './client/errors.ts';
export * from './engine/errors.ts';
export * from './model/families/errors.ts';
export * from './model/gguf/errors.ts';
export * from './model/tokenizer/errors.ts';
export * from './residency/errors.ts';
export * from './residency/paging-errors.ts';
export * from './shards/errors.ts';
export * from './shards/manifest/errors.ts';
export * from './worker/errors.ts';
