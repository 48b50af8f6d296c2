/** Part of a layer step: some tokens, of each some of its chosen experts. Stateless: whoever holds the experts can do it. */
export interface ExpertWork {
  /** Index of the layer within the model. */
  readonly layer: number;
  readonly tokens: number;
  /** How many experts each token has here. */
  readonly counts: Uint8Array<ArrayBuffer>;
  /** The first token's experts, then the next one's. */
  readonly experts: Uint16Array<ArrayBuffer>;
  /** Their weights, in the same order. */
  readonly weights: Float32Array<ArrayBuffer>;
  /** [tokens, d]: what the experts read. */
  readonly x: Float32Array<ArrayBuffer>;
}

/** Does work here: of each token the weighted sum of its experts' outputs, [tokens, d]. */
export type ComputeExperts = (work: ExpertWork) => Promise<Float32Array<ArrayBuffer>>;

/** Work taken out of a larger one. */
export interface WorkPart {
  readonly work: ExpertWork;
  /** Of each of its tokens, the place in the larger work. */
  readonly rows: Uint32Array<ArrayBuffer>;
}

/** A router's choice as work. @param ids [tokens, topK] @param weights [tokens, topK] @param x [tokens, d] */
export function workOf(layer: number, topK: number, ids: Uint32Array, weights: Float32Array<ArrayBuffer>, x: Float32Array<ArrayBuffer>): ExpertWork {
  const tokens = ids.length / topK;
  return { layer, tokens, counts: new Uint8Array(tokens).fill(topK), experts: Uint16Array.from(ids), weights, x };
}

/** Works of one layer as one, their tokens one after the other. */
export function concatWork(works: readonly ExpertWork[]): ExpertWork {
  const [first, ...others] = works;
  if (!first || others.length === 0) return first ?? { layer: 0, tokens: 0, counts: new Uint8Array(), experts: new Uint16Array(), weights: new Float32Array(), x: new Float32Array() };
  return {
    layer: first.layer,
    tokens: works.reduce((sum, { tokens }) => sum + tokens, 0),
    counts: Uint8Array.from(works.flatMap(({ counts }) => [...counts])),
    experts: Uint16Array.from(works.flatMap(({ experts }) => [...experts])),
    weights: Float32Array.from(works.flatMap(({ weights }) => [...weights])),
    x: Float32Array.from(works.flatMap(({ x }) => [...x])),
  };
}

/** What a work's tokens ask of some experts; each token once, in order. Undefined where no token asks for any. */
export function takeExperts(work: ExpertWork, wanted: ReadonlySet<number>): WorkPart | undefined {
  const width = work.x.length / work.tokens;
  const counts: number[] = [];
  const experts: number[] = [];
  const weights: number[] = [];
  const rows: number[] = [];
  let at = 0;
  for (const [token, count] of work.counts.entries()) {
    const before = experts.length;
    for (const end = at + count; at < end; at++) {
      const expert = work.experts[at] ?? 0;
      if (!wanted.has(expert)) continue;
      experts.push(expert);
      weights.push(work.weights[at] ?? 0);
    }
    if (experts.length === before) continue;
    counts.push(experts.length - before);
    rows.push(token);
  }
  if (rows.length === 0) return undefined;
  const x = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) x.set(work.x.subarray(row * width, (row + 1) * width), i * width);
  const { layer } = work;
  return {
    work: { layer, tokens: rows.length, counts: Uint8Array.from(counts), experts: Uint16Array.from(experts), weights: Float32Array.from(weights), x },
    rows: Uint32Array.from(rows),
  };
}

/** Adds a part's sums to those of the work that it was taken from; both [tokens, width]. */
export function addRows(sum: Float32Array, part: Float32Array, rows: Uint32Array, width: number): void {
  for (const [i, row] of rows.entries()) {
    for (let column = 0; column < width; column++) sum[row * width + column] = (sum[row * width + column] ?? 0) + (part[i * width + column] ?? 0);
  }
}
