// The public API at hand for tests that drive the page from outside.
import * as gatefold from '@gatefold/runtime';
import * as mesh from '@gatefold/runtime/mesh';

declare global {
  interface Window {
    gatefold: typeof gatefold;
    mesh: typeof mesh;
    /** What a test keeps from one step to the next. */
    model: gatefold.Model;
    room: gatefold.MeshRoomHandle;
    movedChannels: number;
  }
}

window.gatefold = gatefold;
window.mesh = mesh;
