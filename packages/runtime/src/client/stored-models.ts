import type { StoredModel } from '../shards/store/store.ts';

/** Models that are kept in this browser (for this origin), whole or in part; empty where nothing can be kept. */
export async function listModels(): Promise<StoredModel[]> {
  return (await store()).list();
}

/** Deletes what is kept of a model. One that is loaded goes on. @param id of `StoredModel`, or `ModelInfo.modelId` */
export async function deleteModel(id: string): Promise<void> {
  await (await store()).delete(id);
}

/**
 * Asks the browser to keep stored models even when disk space gets short; some browsers ask the person. Call it in a
 * page. Resolves with whether they are kept.
 */
export async function requestPersistence(): Promise<boolean> {
  const storage = globalThis.navigator?.storage;
  return (await storage?.persisted?.()) || ((await storage?.persist?.()) ?? false);
}

async function store() {
  const { openStore } = await import('../shards/store/open.ts');
  return openStore();
}
