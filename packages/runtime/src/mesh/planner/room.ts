/** What the planner knows of a model. */
export interface MeshModel {
  /** All layers, MoE or not. */
  readonly layerCount: number;
  /** The MoE layers, in order. */
  readonly moeLayers: readonly MoeLayerShape[];
  /** Experts that one token uses in one layer. */
  readonly topK: number;
  /** Bytes of one token's row of activations on the wire. */
  readonly rowBytes: number;
}

export interface MoeLayerShape {
  /** Index among all layers. */
  readonly layer: number;
  readonly experts: number;
  /** Memory of one expert. */
  readonly expertBytes: number;
}

/** What the planner knows of a peer, all of it measured. */
export interface MeshPeer {
  readonly id: string;
  /** Memory that it gives to experts, in bytes. */
  readonly memoryBytes: number;
  /** Milliseconds of one expert for one token. */
  readonly expertMs: number;
  /** Milliseconds of one layer without its routed experts. */
  readonly trunkLayerMs: number;
  /** Milliseconds that handling one frame takes, sent or received. */
  readonly frameMs: number;
  /** Bytes per millisecond that it sends, and that it receives. */
  readonly upBytesPerMs: number;
  readonly downBytesPerMs: number;
  /** Conversations that run at this tab at the same time; 0 for one that only serves. */
  readonly conversations: number;
}

/** Peers and what lies between them. */
export interface MeshRoom {
  readonly peers: readonly MeshPeer[];
  /** One-way milliseconds, [from][to] in the order of `peers`. */
  readonly latencyMs: readonly (readonly number[])[];
}

/** What the routers have chosen so far. Empty lists stand for a traffic that is not known: all experts alike. */
export interface ExpertTraffic {
  /** [MoE layer][expert]: how often it was chosen. */
  readonly uses: readonly (readonly number[])[];
  /** [MoE layer][expert][expert of the next MoE layer]: how many tokens chose both. */
  readonly affinity?: readonly (readonly (readonly number[])[])[];
}
