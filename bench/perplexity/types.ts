/** Texts to score, each alone. The model is the environment's. */
export interface PerplexityJob {
  readonly texts: readonly string[];
}

export interface PerplexityReport {
  /** Tokens predicted, the end of each text included. */
  readonly tokens: number;
  /** Mean over all of them, in nats. */
  readonly loss: number;
}

/** The result of `bench perplexity`: a shipped model a row, beside what PyTorch computes from the same file. */
export interface PerplexityResult {
  readonly command: 'perplexity';
  /** Name of the text's file. */
  readonly text: string;
  /** Largest difference between perplexities that passes, relative to PyTorch's. */
  readonly tolerance: number;
  readonly models: readonly PerplexityRow[];
}

export interface PerplexityRow extends PerplexityReport {
  /** File name. */
  readonly model: string;
  readonly perplexity: number;
  readonly pytorch: number;
  /** Of the perplexities, relative to PyTorch's. */
  readonly difference: number;
}
