import type { Plugin } from 'vite';
import { Relay } from '../../packages/cli/src/relay/relay.ts';

/** Where the page finds it. */
const PATH = '/gatefold-relay';

/** A relay on the page's own port, so that the tabs that it serves find each other without anything else. */
export function relay(): Plugin {
  return {
    name: 'relay',
    configureServer: ({ httpServer }) => void (httpServer && new Relay().attach(httpServer, PATH)),
    configurePreviewServer: ({ httpServer }) => new Relay().attach(httpServer, PATH),
  };
}
