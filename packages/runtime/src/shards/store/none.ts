import type { ShardStore } from './store.ts';

/** The store of hosts that have none: takes everything and keeps nothing. */
export const NO_STORE: ShardStore = {
  kind: 'none',
  addModel: async () => {},
  records: async () => new Map(),
  record: async () => undefined,
  get: async () => undefined,
  put: async () => {},
  getHeader: async () => undefined,
  putHeader: async () => {},
  removeHeader: async () => {},
  list: async () => [],
  delete: async () => {},
};
