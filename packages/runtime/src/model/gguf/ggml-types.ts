/** How a tensor of one ggml type lies in a file. */
interface GgmlType {
  readonly name: string;
  /** Number in ggml's `enum ggml_type`, as GGUF stores it. */
  readonly id: number;
  /** Weights in a block; a tensor's rows are whole blocks. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
  /** Whether the engine can compute with it; the others are known so that files can be sized and errors can name them. */
  readonly decodable: boolean;
}

const type = (decodable: boolean) => (name: string, id: number, blockSize: number, blockBytes: number): GgmlType => ({
  name,
  id,
  blockSize,
  blockBytes,
  decodable,
});
const decoded = type(true);
const known = type(false);

/** Sizes after ggml's `ggml-common.h`. Numbers that are missing were removed from ggml and are in no current file. */
const GGML_TYPES: readonly GgmlType[] = [
  decoded('F32', 0, 1, 4),
  decoded('F16', 1, 1, 2),
  decoded('BF16', 30, 1, 2),
  decoded('Q4_0', 2, 32, 18),
  decoded('Q4_1', 3, 32, 20),
  decoded('Q5_0', 6, 32, 22),
  decoded('Q5_1', 7, 32, 24),
  decoded('Q8_0', 8, 32, 34),
  decoded('Q2_K', 10, 256, 84),
  decoded('Q3_K', 11, 256, 110),
  decoded('Q4_K', 12, 256, 144),
  decoded('Q5_K', 13, 256, 176),
  decoded('Q6_K', 14, 256, 210),
  known('Q8_1', 9, 32, 36),
  known('Q8_K', 15, 256, 292),
  known('IQ2_XXS', 16, 256, 66),
  known('IQ2_XS', 17, 256, 74),
  known('IQ3_XXS', 18, 256, 98),
  known('IQ1_S', 19, 256, 50),
  decoded('IQ4_NL', 20, 32, 18),
  known('IQ3_S', 21, 256, 110),
  known('IQ2_S', 22, 256, 82),
  decoded('IQ4_XS', 23, 256, 136),
  known('I8', 24, 1, 1),
  known('I16', 25, 1, 2),
  known('I32', 26, 1, 4),
  known('I64', 27, 1, 8),
  known('F64', 28, 1, 8),
  known('IQ1_M', 29, 256, 56),
  known('TQ1_0', 34, 256, 54),
  known('TQ2_0', 35, 256, 66),
  decoded('MXFP4', 39, 32, 17),
  decoded('NVFP4', 40, 64, 36),
  known('Q1_0', 41, 128, 18),
];

const BY_ID = new Map(GGML_TYPES.map((entry) => [entry.id, entry]));

/** Names of the types that the engine computes with, for messages. */
export const DECODABLE_TYPES: readonly string[] = GGML_TYPES.filter(({ decodable }) => decodable).map(({ name }) => name);

/** @param id number in ggml's `enum ggml_type`; undefined where ggml has no such type */
export function ggmlType(id: number): GgmlType | undefined {
  return BY_ID.get(id);
}
