import type { Plugin } from 'vite';

/** Vite's helper for dynamic imports as what is left of it where nothing is preloaded: a kilobyte less for every page. */
export function noPreload(): Plugin {
  return {
    name: 'no-preload',
    apply: 'build',
    enforce: 'pre',
    load: (id) => (id === '\0vite/preload-helper.js' ? 'export const __vitePreload = (load) => load();' : null),
  };
}
