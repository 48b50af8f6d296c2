/** What a model's routers chose, token by token. */
export interface RouterTrace {
  /** Experts of each MoE layer, in order. */
  readonly experts: readonly number[];
  /** The experts that a token used: [token][MoE layer][k]. */
  readonly tokens: readonly (readonly (readonly number[])[])[];
  /** What the layer before foretold of each of these choices (`engine/experts/foretell.ts`); nothing of the first layer's. */
  readonly foretold?: readonly (readonly (readonly number[])[])[];
}
