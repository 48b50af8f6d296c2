import { createHash } from 'node:crypto';
import type { Plugin } from 'vite';

/**
 * Emits `service-worker.js`, which keeps the page's own files, so that a tab opens without a network. Models are left
 * out: their shards lie in IndexedDB.
 */
export function offline(): Plugin {
  return {
    name: 'offline',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const files = Object.keys(bundle).filter((name) => !name.endsWith('.gguf')).sort();
      const hash = createHash('sha256');
      for (const name of files) {
        const part = bundle[name];
        hash.update(name).update(part?.type === 'asset' ? part.source : (part?.code ?? ''));
      }
      this.emitFile({ type: 'asset', fileName: 'service-worker.js', source: serviceWorker(hash.digest('hex').slice(0, 16), ['./', ...files]) });
    },
  };
}

/** Files of one build are kept together under its hash; a new build's worker drops the others' when it takes over. */
function serviceWorker(version: string, files: readonly string[]): string {
  return `const CACHE = 'gatefold-${version}';
const FILES = ${JSON.stringify(files)};
self.addEventListener('install', (event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(caches.keys()
  .then((keys) => Promise.all(keys.filter((key) => key.startsWith('gatefold-') && key !== CACHE).map((key) => caches.delete(key))))
  .then(() => self.clients.claim())));
self.addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET' || new URL(event.request.url).origin !== self.location.origin) return;
  event.respondWith(caches.open(CACHE).then((cache) => cache.match(event.request, { ignoreVary: true })).then((kept) => kept ?? fetch(event.request)));
});
`;
}
