import { vi } from 'vitest';

/** What the origin's files hold, by path. */
export type FakeFiles = Map<string, Uint8Array<ArrayBuffer>>;

export interface FakeOpfsOptions {
  /** Gives handles what workers' handles have. */
  readonly isWorker: boolean;
  /** Called before a file is written; what it throws the write throws. */
  readonly onWrite?: (path: string) => void;
}

const missing = (path: string) => new DOMException(`no ${path}`, 'NotFoundError');

/** Gives this thread's navigator files of the origin, in memory. */
export function fakeOpfs(files: FakeFiles, { isWorker, onWrite = () => {} }: FakeOpfsOptions): void {
  const write = (path: string, bytes: Uint8Array) => {
    onWrite(path);
    files.set(path, bytes.slice());
    return bytes.length;
  };
  const open = new Set<string>();
  const sync = (path: string) => ({
    async createSyncAccessHandle() {
      if (open.has(path)) throw new DOMException('open elsewhere', 'NoModificationAllowedError');
      open.add(path);
      const bytes = () => files.get(path) ?? new Uint8Array();
      return {
        getSize: () => bytes().length,
        read: (into: Uint8Array) => into.set(bytes()),
        write: (given: Uint8Array) => write(path, given),
        truncate: (size: number) => void files.set(path, bytes().slice(0, size)),
        close: () => open.delete(path),
      };
    },
  });
  const file = (path: string) => ({
    getFile: async () => new Blob([files.get(path) ?? new Uint8Array()]),
    createWritable: async () => ({ write: async (bytes: Uint8Array) => void write(path, bytes), close: async () => {} }),
    ...(isWorker ? sync(path) : {}),
  });
  const folder = (path: string) => ({
    async getDirectoryHandle(name: string, { create = false } = {}) {
      const below = `${path}${name}/`;
      if (!create && ![...files.keys()].some((key) => key.startsWith(below))) throw missing(below);
      return folder(below);
    },
    async getFileHandle(name: string, { create = false } = {}) {
      if (!files.has(path + name)) {
        if (!create) throw missing(path + name);
        files.set(path + name, new Uint8Array());
      }
      return file(path + name);
    },
    async removeEntry(name: string) {
      const below = [...files.keys()].filter((key) => key.startsWith(`${path}${name}/`));
      if (below.length === 0) throw missing(path + name);
      for (const key of below) files.delete(key);
    },
  });
  vi.stubGlobal('navigator', { storage: { getDirectory: async () => folder('') } });
}
