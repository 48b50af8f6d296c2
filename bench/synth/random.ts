/** A seeded generator of random numbers, so that a model is the same file wherever it is made (xoshiro128**, Blackman and Vigna 2018). */
export class Random {
  readonly #state: Uint32Array;
  readonly #words = new Uint32Array(4096);
  #used = this.#words.length;

  constructor(seed: number) {
    // SplitMix32 spreads the seed over the state.
    let mixed = seed >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let z = mixed;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    });
  }

  /** Random bits into every word. */
  bits(words: Uint32Array): void {
    let [a = 1, b = 2, c = 3, d = 4] = this.#state;
    for (let i = 0; i < words.length; i++) {
      const x = Math.imul(b, 5);
      words[i] = Math.imul((x << 7) | (x >>> 25), 9);
      const t = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= t;
      d = (d << 11) | (d >>> 21);
    }
    this.#state.set([a, b, c, d]);
  }

  /** An integer in [0, limit), limit ≤ 2³². */
  int(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** A number in [0, 1). */
  uniform(): number {
    if (this.#used === this.#words.length) {
      this.bits(this.#words);
      this.#used = 0;
    }
    return (this.#words[this.#used++] ?? 0) / 2 ** 32;
  }

  /** `length` normally distributed numbers (Box and Muller 1958). */
  normals(length: number, mean: number, deviation: number): Float32Array<ArrayBuffer> {
    const words = new Uint32Array(2 * length);
    this.bits(words);
    return Float32Array.from({ length }, (_, i) => {
      const u = ((words[2 * i] ?? 0) + 1) / 2 ** 32;
      const v = (words[2 * i + 1] ?? 0) / 2 ** 32;
      return mean + deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
    });
  }
}
