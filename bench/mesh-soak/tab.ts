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
    /** Tells the bench that the so manieth token of an answer has come. */
    benchToken(count: number): void;
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
  readonly contextLength?: number;
}

export interface Conditions {
  readonly rtt: number;
  readonly jitter: number;
  readonly loss: number;
}

export const NO_CONDITIONS: Conditions = { rtt: 0, jitter: 0, loss: 0 };

export interface Answer {
  readonly ids: readonly number[];
  /** Experts that were chosen, those of them that peers computed, parts that went to a second peer, and that home computed in a peer's stead. */
  readonly choices: number;
  readonly remoteChoices: number;
  readonly resends: number;
  readonly failovers: number;
  /** The longest layer step in which a peer failed or was late, and the longest wait for a token after the first, in ms. */
  readonly longestStallMs: number;
  readonly longestTokenMs: number;
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
  /** Called when the so manieth token of an answer has come. */
  onToken: (count: number) => void = () => {};

  private constructor(readonly job: JobPage) {}

  static async open(browser: JobBrowser, setup: TabSetup): Promise<Tab> {
    const job = await browser.open();
    const tab = new Tab(job);
    await job.page.exposeFunction('benchToken', (count: number) => tab.onToken(count));
    await job.page.evaluate(async ({ model, gpuBudget, contextLength = 128 }) => {
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
      window.soak = { model: await window.gatefoldLoad(model, { contextLength, gpuBudget, store: 'none' }) };
    }, setup);
    return tab;
  }

  /** Opens a room and gives its link. @param memoryBytes for experts; default: as many as its GPU budget has room for */
  openRoom(relay: string, conditions: Conditions = NO_CONDITIONS, memoryBytes?: number): Promise<string> {
    return this.job.page.evaluate(
      async (given) => {
        window.soak.room = await window.soak.model.mesh.open(given);
        return window.soak.room.link;
      },
      { relay, conditions, ...(memoryBytes === undefined ? {} : { memoryBytes }) },
    );
  }

  join(link: string, conditions: Conditions, memoryBytes?: number): Promise<void> {
    return this.job.page.evaluate(
      async ({ link: to, ...options }) => {
        window.soak.room = await window.soak.model.mesh.join(to, options);
      },
      { link, conditions, ...(memoryBytes === undefined ? {} : { memoryBytes }) },
    );
  }

  /** Bytes of all experts of all layers. */
  expertBytes(): Promise<number> {
    return this.job.page.evaluate(async () => (await window.soak.model.memory()).expertBytes);
  }

  /** Names of the holders of each expert, by MoE layer and expert. */
  holders(): Promise<readonly (readonly (readonly string[])[])[]> {
    return this.job.page.evaluate(async () => (await window.soak.room?.state())?.holders ?? []);
  }

  /** Stops its worker for so long, as a device does that is out of breath; its connections stay open. */
  freeze(ms: number): void {
    const [worker] = this.job.page.workers();
    // Who is closed meanwhile does not answer.
    worker
      ?.evaluate((length) => {
        // Waiting takes no time of the processor. A SharedArrayBuffer by its name is for isolated pages only.
        const { buffer } = new WebAssembly.Memory({ shared: true, initial: 1, maximum: 1 });
        Atomics.wait(new Int32Array(buffer), 0, 0, length);
      }, ms)
      .catch(() => {});
  }

  leave(): Promise<void> {
    return this.job.page.evaluate(() => window.soak.room?.close());
  }

  peers(): Promise<readonly MeshPeerInfo[]> {
    return this.job.page.evaluate(() => window.soak.room?.peers ?? []);
  }

  /** Resolves when so many others are in the room. */
  async full(others: number): Promise<void> {
    await this.job.page.waitForFunction((count) => window.soak.room?.peers.length === count, others, { timeout: 120_000 });
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
          let [count, at, longestTokenMs] = [0, performance.now(), 0];
          for (;;) {
            const next = await generation.next();
            if (!next.done) {
              const now = performance.now();
              if (count > 0) longestTokenMs = Math.max(longestTokenMs, now - at);
              at = now;
              window.benchToken(++count);
              continue;
            }
            const { ids, stats } = next.value;
            const { choices = 0, remoteChoices = 0, resends = 0, failovers = 0, longestStallMs = 0, decodeMessages = 0, decodeTokens = 0 } = stats.mesh ?? {};
            return { ids, choices, remoteChoices, resends, failovers, longestStallMs, longestTokenMs, tokenMs: stats.decodeMs / Math.max(1, ids.length - 1), messagesPerToken: decodeMessages / Math.max(1, decodeTokens) };
          }
        } finally {
          await session.dispose();
        }
      },
      { promptIds, maxTokens },
    );
  }

  /** After a collection of all garbage: `gc()` leaves what only the next idle time would take. */
  async footprint(): Promise<Footprint> {
    const { page } = this.job;
    const session = await page.context().newCDPSession(page);
    await session.send('HeapProfiler.collectGarbage');
    await session.detach();
    return page.evaluate(async () => {
      const { gpuBuffers, gpuBytes } = await window.soak.model.memory();
      return { gpuBuffers, gpuBytes, connections: window.openConnections.size, heapBytes: performance.memory.usedJSHeapSize };
    });
  }

  close(): Promise<void> {
    return this.job.page.close();
  }
}
