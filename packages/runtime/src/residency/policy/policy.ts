/** Which experts of one layer stay on the GPU. Pure bookkeeping: it sees what is used and names what may go. */
export interface EvictionPolicy {
  /** One step of the layer used these experts: a token in decode, a chunk in prefill. */
  use(experts: readonly number[]): void;
  /** The one of `candidates` (at least one) whose absence will cost least. */
  victim(candidates: readonly number[]): number;
}
