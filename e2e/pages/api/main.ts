// The public API at hand for tests that drive the page from outside.
import * as gatefold from '@gatefold/runtime';

declare global {
  interface Window {
    gatefold: typeof gatefold;
    /** What a test keeps from one step to the next. */
    model: gatefold.Model;
    room: gatefold.MeshRoomHandle;
    movedChannels: number;
  }
}

window.gatefold = gatefold;
