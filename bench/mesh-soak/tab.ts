import type { load, MeshPeerInfo, MeshRoomHandle, Model } from '@gatefold/runtime';
import type { JobBrowser, JobPage } from '../../packages/cli/src/hosts/job-page.ts';

declare global {
  interface Window {
    /** Of the bench's page. */
    gatefoldLoad: typeof load;
    /** What one of the soak's tabs keeps. */
    soak: { readonly model: Model; room?: MeshRoomHandle };
    /** RTCPeerConnections that were made and not closed. */
    openConnections: Set<RTCPeerConnection>;
  }
  interface Performance {
    /** Chromium's. */
    readonly memory: { readonly usedJSHeapSize: number };
  }
}

export interface TabSetup {
  /** URL of the model. */
  readonly model: string;
  readonly gpuBudget: string;
}

export interface Conditions {
  readonly rtt: number;
  readonly jitter: number;
  readonly loss: number;
}

export interface Answer {
  readonly ids: readonly number[];
  /** Experts that peers computed, and parts that home computed in a peer's stead. */
  readonly remoteChoices: number;
  readonly failovers: number;
  /** Milliseconds a token after the first, and frames in both directions. */
  readonly tokenMs: number;
  readonly messagesPerToken: number;
}

/** What must not grow. */
export interface Footprint {
  readonly gpuBuffers: number;
  readonly gpuBytes: number;
  readonly connections: number;
  readonly heapBytes: number;
}

/** A page with a loaded model. */
export class Tab {
  private constructor(readonly job: JobPage) {}

  static async open(browser: JobBrowser, setup: TabSetup): Promise<Tab> {
    const job = await browser.open();
    await job.page.evaluate(async ({ model, gpuBudget }) => {
      window.openConnections = new Set();
      const Original = RTCPeerConnection;
      window.RTCPeerConnection = class extends Original {
        constructor(configuration?: RTCConfiguration) {
          super(configuration);
          window.openConnections.add(this);
        }

        override close(): void {
          window.openConnections.delete(this);
          super.close();
        }
      };
      window.soak = { model: await window.gatefoldLoad(model, { contextLength: 128, gpuBudget, store: 'none' }) };
    }, setup);
    return new Tab(job);
  }

  /** Opens a room and gives its link. */
  openRoom(relay: string, conditions: Conditions = { rtt: 0, jitter: 0, loss: 0 }): Promise<string> {
    return this.job.page.evaluate(
      async (given) => {
        window.soak.room = await window.soak.model.mesh.open(given);
        return window.soak.room.link;
      },
      { relay, conditions },
    );
  }

  join(link: string, conditions: Conditions): Promise<void> {
    return this.job.page.evaluate(
      async (given) => {
        window.soak.room = await window.soak.model.mesh.join(given.link, { conditions: given.conditions });
      },
      { link, conditions },
    );
  }

  leave(): Promise<void> {
    return this.job.page.evaluate(() => window.soak.room?.close());
  }

  peers(): Promise<readonly MeshPeerInfo[]> {
    return this.job.page.evaluate(() => window.soak.room?.peers ?? []);
  }

  /** Resolves when nobody else is in the room any more, and all connections are closed. Throws where that does not come. */
  async alone(): Promise<void> {
    await this.job.page.waitForFunction(() => (window.soak.room?.peers.length ?? 0) === 0 && window.openConnections.size === 0, undefined, { timeout: 120_000 });
  }

  answer(promptIds: readonly number[], maxTokens: number): Promise<Answer> {
    return this.job.page.evaluate(
      async (request) => {
        const session = await window.soak.model.createSession();
        try {
          const generation = session.generate({ ...request, stopIds: [] });
          for (;;) {
            const next = await generation.next();
            if (!next.done) continue;
            const { ids, stats } = next.value;
            const { remoteChoices = 0, failovers = 0, decodeMessages = 0, decodeTokens = 0 } = stats.mesh ?? {};
            return { ids, remoteChoices, failovers, tokenMs: stats.decodeMs / Math.max(1, ids.length - 1), messagesPerToken: decodeMessages / Math.max(1, decodeTokens) };
          }
        } finally {
          await session.dispose();
        }
      },
      { promptIds, maxTokens },
    );
  }

  footprint(): Promise<Footprint> {
    return this.job.page.evaluate(async () => {
      // Given by --js-flags=--expose-gc.
      globalThis.gc?.();
      const { gpuBuffers, gpuBytes } = await window.soak.model.memory();
      return { gpuBuffers, gpuBytes, connections: window.openConnections.size, heapBytes: performance.memory.usedJSHeapSize };
    });
  }

  close(): Promise<void> {
    return this.job.page.close();
  }
}
