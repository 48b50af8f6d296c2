import type { AttentionShape } from '../../src/attention-shape.ts';
import type { AttentionInputs } from '../../src/rope.ts';
import { normed } from './linear.ts';
import { rotateReference } from './rope.ts';

/** What makes attention's inputs of their product, but for its buffers. */
export interface InputsCase extends AttentionShape, Pick<AttentionInputs, 'qkNorm' | 'qkNormLast' | 'valueNorm' | 'valuesAreKeys'> {
  /** Elements after each query head that are not its own. */
  readonly beside?: number;
  readonly rope: { readonly kind: 'norm' | 'neox'; readonly dims: number } | null;
  readonly temperature?: { readonly scale: number; readonly length: number };
}

export const ROPE_BASE = 10_000;

/** Elements of a token's row of the product. */
export function inputsWidth({ heads, kvHeads, headDim, valueDim, beside = 0, valuesAreKeys = false }: InputsCase): number {
  return heads * (headDim + beside) + kvHeads * (headDim + (valuesAreKeys ? 0 : valueDim));
}

/** Queries, keys and values of a token in f64, out of its row: QK-norm, then rotation by position * ROPE_BASE^(-2 pair / dims). */
export function inputsReference(
  row: Float32Array,
  position: number,
  shape: InputsCase,
  norms: { readonly q: Float32Array; readonly k: Float32Array; readonly eps: number },
): { readonly q: number[]; readonly k: number[]; readonly v: number[] } {
  const { heads, kvHeads, headDim, valueDim, beside = 0, qkNorm, rope, qkNormLast = false, valueNorm = false, valuesAreKeys = false, temperature } = shape;
  const { eps } = norms;
  const ones = new Float32Array(Math.max(headDim, valueDim)).fill(1);
  const prepared = (part: Float32Array, weight: Float32Array): number[] => {
    const wide = qkNorm === 'full' ? normed(part, weight, eps) : Float64Array.from(part);
    return Array.from({ length: part.length / headDim }, (_, head) => {
      const own = wide.subarray(head * headDim, (head + 1) * headDim);
      const norm = (x: Float64Array): Float64Array => (qkNorm === 'per-head' ? normed(x, weight, eps) : qkNorm === 'unit' ? normed(x, ones.subarray(0, headDim), eps) : x);
      const rotate = (x: Float64Array): Float64Array => (rope ? rotateReference(x, rope.kind, rope.dims, (pair) => position * ROPE_BASE ** ((-2 * pair) / rope.dims)) : x);
      return [...(qkNormLast ? norm(rotate(own)) : rotate(norm(own)))];
    }).flat();
  };
  const heat = temperature ? 1 + temperature.scale * Math.log(1 + Math.floor((position + 1) / temperature.length)) : 1;
  const queryStride = headDim + beside;
  const queries = row.subarray(0, heads * queryStride).filter((_, i) => i % queryStride < headDim);
  const rest = row.subarray(heads * queryStride);
  const keys = rest.subarray(0, kvHeads * headDim);
  const values = valuesAreKeys ? keys : rest.subarray(kvHeads * headDim);
  return {
    q: prepared(queries, norms.q).map((value) => value * heat),
    k: prepared(keys, norms.k),
    v: Array.from({ length: kvHeads }, (_, head) => values.subarray(head * valueDim, (head + 1) * valueDim)).flatMap((own) => [...(valueNorm ? normed(own, ones.subarray(0, valueDim), eps) : own)]),
  };
}
