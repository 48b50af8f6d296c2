import type { ExpertActivation } from '../../src/expert-pool.ts';

/** Random choices of k distinct experts a token. */
export function randomIds(randomInt: (limit: number) => number, tokens: number, topK: number, experts: number): Uint32Array<ArrayBuffer> {
  const ids = new Uint32Array(tokens * topK);
  for (let t = 0; t < tokens; t++) {
    const left = Array.from({ length: experts }, (_, e) => e);
    for (let j = 0; j < topK; j++) ids[t * topK + j] = left.splice(randomInt(left.length), 1)[0] ?? NaN;
  }
  return ids;
}

/** out[t] + Σ_j w[t, j] · y[t·k + j] in f64. */
export function gatherReference(out: ArrayLike<number>, y: ArrayLike<number>, weights: ArrayLike<number>, width: number, topK: number): Float64Array {
  return Float64Array.from(out, (start, at) => {
    const token = Math.floor(at / width);
    let sum = start;
    for (let j = 0; j < topK; j++) sum += (weights[token * topK + j] ?? NaN) * (y[(token * topK + j) * width + (at % width)] ?? NaN);
    return sum;
  });
}

/** y = W x in f64, W row by row. */
export function product(w: Float64Array, x: ArrayLike<number>): Float64Array {
  const rows = w.length / x.length;
  return Float64Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let c = 0; c < x.length; c++) sum += (w[r * x.length + c] ?? NaN) * (x[c] ?? NaN);
    return sum;
  });
}

/** One expert's hidden row in f64. `matrices` (and `biases`) are gate and up, or up alone for `gelu`; `inputWeight` multiplies x. */
export function hiddenReference(
  matrices: readonly Float64Array[],
  x: ArrayLike<number>,
  activation: ExpertActivation,
  biases: readonly ArrayLike<number>[] = [],
  inputWeight = 1,
): Float64Array {
  const weighted = Float64Array.from(x, (value) => value * inputWeight);
  const [first = new Float64Array(0), second = first] = matrices.map((w, m) => product(w, weighted).map((value, row) => value + (biases[m]?.[row] ?? 0)));
  return first.map((gate, i) => activate(gate, second[i] ?? NaN, activation));
}

function activate(gate: number, up: number, activation: ExpertActivation): number {
  const gelu = (v: number): number => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  switch (activation) {
    case 'swiglu':
      return (gate / (1 + Math.exp(-gate))) * up;
    case 'swiglu-clamped': {
      const capped = Math.min(gate, 7);
      return (capped / (1 + Math.exp(-1.702 * capped))) * (Math.max(-7, Math.min(7, up)) + 1);
    }
    case 'geglu':
      return gelu(gate) * up;
    case 'gelu':
      return gelu(up);
  }
}
