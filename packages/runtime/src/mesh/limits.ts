/** What one peer may take of us. A peer that wants more is cut off. */
export interface LinkLimits {
  readonly maxFrameBytes: number;
  /** Frames of which only parts have come, and frames that nobody has taken yet. */
  readonly maxPendingBytes: number;
  readonly bytesPerSecond: number;
  readonly slicesPerSecond: number;
}

/** Above what a gigabit network carries, and below what would stall a tab. */
export const DEFAULT_LIMITS: LinkLimits = {
  maxFrameBytes: 16 * 1024 * 1024,
  maxPendingBytes: 64 * 1024 * 1024,
  bytesPerSecond: 256e6,
  slicesPerSecond: 100_000,
};
