/** What one answer asked of its peers, counted. */
export interface MeshCounts {
  /** Frames to peers and from them; those of decoded tokens alone. */
  messages: number;
  decodeMessages: number;
  bytesSent: number;
  bytesReceived: number;
  decodeBytes: number;
  /** Tokens decoded while peers were there. */
  decodeTokens: number;
  /** From the first frame of a layer step to its last answer, in ms. */
  stepMs: number[];
  /** The longest layer step in which a peer was late or failed, whole, in ms: no less than from the failure to when the answer went on. */
  longestStallMs: number;
  /** Requests that went to a second peer, and that were computed at home in the end. */
  resends: number;
  failovers: number;
  /** Results that were computed again at home, and peers that were banned meanwhile, with the reason. */
  checks: number;
  readonly bans: { readonly peer: string; readonly reason: string }[];
  /** Choices of experts, and those of them that peers computed. */
  choices: number;
  remoteChoices: number;
  /** Times that the answer went back to before a banned peer's unchecked results. */
  revisions: number;
}

export function noMeshCounts(): MeshCounts {
  return {
    messages: 0,
    decodeMessages: 0,
    bytesSent: 0,
    bytesReceived: 0,
    decodeBytes: 0,
    decodeTokens: 0,
    stepMs: [],
    longestStallMs: 0,
    resends: 0,
    failovers: 0,
    checks: 0,
    bans: [],
    choices: 0,
    remoteChoices: 0,
    revisions: 0,
  };
}
