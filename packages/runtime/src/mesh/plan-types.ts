/** The tab that has the conversation, among the holders of experts. Peers' names are never this. */
export const HOME = 'home';

/** Who computes what of a conversation in a room: made by the planner, followed by the engine. */
export type MeshPlan = ExpertsPlan | LayersPlan;

interface PlanBase {
  /** Rises with each plan of a room. A layer step ends with the plan that it began with. */
  readonly version: number;
  /** Frames that a decoded token is expected to cost, in all directions. */
  readonly messagesPerToken: number;
}

/** Experts are spread: a token visits the holders of its experts in each MoE layer. */
export interface ExpertsPlan extends PlanBase {
  readonly strategy: 'experts';
  /** One for each MoE layer, in order. */
  readonly layers: readonly LayerPlacement[];
  /**
   * Peers that are reached through another one (hierarchical exchange), by name: `relays.get(peer)` forwards the peer's frames.
   * A relay is reached directly. Empty where all are.
   */
  readonly relays: ReadonlyMap<string, string>;
}

/** Where one MoE layer's experts are. */
export interface LayerPlacement {
  /** Index of the layer within the model. */
  readonly layer: number;
  /**
   * Of each expert, who holds it, best first: names of peers, or `HOME`. Those after the first are replicas. Home can bring
   * an expert that it does not hold, so that an empty list is home's, too.
   */
  readonly holders: readonly (readonly string[])[];
}

/**
 * Whole layers are spread: a token visits each peer once, and goes on to the next one's range directly where that follows. What no range
 * has is home's.
 */
export interface LayersPlan extends PlanBase {
  readonly strategy: 'layers';
  /** Ascending, without overlap. */
  readonly ranges: readonly LayerRange[];
}

/** What the members of a room share of a plan: each makes its own of it. */
export interface SharedPlan {
  readonly version: number;
  readonly strategy: 'experts' | 'layers';
  /** [MoE layer][expert]: names of the peers that hold it. Empty where no peer has room: who needs it brings it home. */
  readonly holders: readonly (readonly (readonly string[])[])[];
  /** Strategy `layers`: who runs which, in order. Else empty. */
  readonly stages: readonly LayerRange[];
}

/** Layers that one peer runs, whose keys, values and recurrent state it keeps for the conversation. */
export interface LayerRange {
  readonly peer: string;
  /** Index of the first layer within the model. */
  readonly first: number;
  /** Index after the last. */
  readonly end: number;
}
