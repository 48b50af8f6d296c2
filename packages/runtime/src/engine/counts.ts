/** What generating cost, counted; the service turns it into `GenerateStats`. */
export interface SessionCounts {
  /** Tokens submitted in decode, which the next three are about. */
  tokens: number;
  dispatches: number;
  submits: number;
  readbacks: number;
  /** Experts that had to be brought to the GPU, and their bytes; of the prompt, too. */
  expertLoads: number;
  expertBytes: number;
}

export function noCounts(): SessionCounts {
  return { tokens: 0, dispatches: 0, submits: 0, readbacks: 0, expertLoads: 0, expertBytes: 0 };
}
