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
