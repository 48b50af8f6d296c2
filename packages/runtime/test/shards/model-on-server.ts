import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgressEvent, Warning } from '../../src/api/types.ts';
import { openModel, type OpenedModel, type OpenModelOptions } from '../../src/shards/open-model.ts';
import { HttpSource } from '../../src/shards/sources/http.ts';
import { IndexedDbStore } from '../../src/shards/store/indexeddb.ts';
import type { ShardStore } from '../../src/shards/store/store.ts';
import { FileServer } from './file-server.ts';
import { freshIndexedDb } from './fresh-indexeddb.ts';

/** A small real model: 2 layers of 16 experts. */
export const MODEL = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/olmoe-q4_0/model.gguf')));

/** A model behind an HTTP server, an empty IndexedDB, and all that loaders say. */
export class ModelOnServer {
  readonly server = new FileServer();
  readonly warnings: Warning[] = [];
  readonly progress: ProgressEvent[] = [];
  url = '';

  static async start(files: Readonly<Record<string, Uint8Array>> = { 'model.gguf': MODEL }): Promise<ModelOnServer> {
    freshIndexedDb();
    const started = new ModelOnServer();
    for (const [name, bytes] of Object.entries(files)) started.server.files.set(`/${name}`, bytes);
    started.url = `${await started.server.start()}/${Object.keys(files)[0]}`;
    return started;
  }

  /** What a new visit does: everything anew, but for what is in IndexedDB. */
  open(options: OpenModelOptions = {}, store: ShardStore = new IndexedDbStore()): Promise<OpenedModel> {
    const onWarning = (warning: Warning) => this.warnings.push(warning);
    const source = new HttpSource(this.url, { retry: { attempts: 4, firstDelayMs: 5, maxDelayMs: 50 }, onWarning });
    return openModel(source, store, { onWarning, onProgress: (event) => this.progress.push(event), ...options });
  }

  get warningCodes(): string[] {
    return this.warnings.map(({ code }) => code);
  }
}

/** Loads all shards; their bytes by id. */
export async function loadAll({ loader }: OpenedModel, signal?: AbortSignal): Promise<Map<string, Uint8Array>> {
  const loaded = new Map<string, Uint8Array>();
  await loader.loadAll(loader.plan.shards, (shard, bytes) => void loaded.set(shard.id, bytes), signal ? { signal } : {});
  return loaded;
}
