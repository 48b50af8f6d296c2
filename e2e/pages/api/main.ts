// The public API at hand for tests that drive the page from outside.
import * as gatefold from '@gatefold/runtime';

declare global {
  interface Window {
    gatefold: typeof gatefold;
  }
}

window.gatefold = gatefold;
