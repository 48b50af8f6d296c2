/**
 * Bounds on what a GGUF header may ask for. A header is untrusted: every count and length in it is held against one of
 * these, and against the bytes that the file has left, before anything is allocated or looped over.
 */

/** Bytes of all metadata and tensor infos. The largest real ones (vocabularies of 262,144 with merges) take about 20 MB. */
export const MAX_HEADER_BYTES = 128 * 2 ** 20;

/** Metadata pairs. Real files have fewer than 100; a file with more than this is no model. */
export const MAX_METADATA_PAIRS = 65_536;

/** Tensors in a file. Old Mixtral-style files have one per expert and matrix: 61 layers × 384 experts × 3 is 70,000. */
export const MAX_TENSORS = 1_000_000;

/** Bytes of a metadata key: the bound that the GGUF specification gives. */
export const MAX_KEY_BYTES = 65_535;

/** Bytes of a tensor's name: the bound that the GGUF specification gives. */
export const MAX_TENSOR_NAME_BYTES = 64;

/** Bytes of a string value. Whole tokenizer.json files are embedded in some models (20 MB); chat templates take 100 kB. */
export const MAX_STRING_BYTES = 64 * 2 ** 20;

/** Elements of an array. The largest real ones are merges of a 262,144-token vocabulary: about 600,000. */
export const MAX_ARRAY_LENGTH = 16 * 2 ** 20;

/** Arrays within arrays are refused, as ggml does: no model has any, and objects for empty inner ones take 20 times their bytes. */
export const MAX_ARRAY_NESTING = 1;

/** Dimensions of a tensor: ggml's GGML_MAX_DIMS. */
export const MAX_DIMENSIONS = 4;

/** `general.alignment`. Real files use 32; a large one inflates padding, and sums with it, without need. */
export const MAX_ALIGNMENT = 2 ** 20;

/** The specification asks for a multiple of 8. */
export const MIN_ALIGNMENT = 8;

/** Files of a split model. Each costs a request before anything else can start. */
export const MAX_SPLIT_FILES = 1024;
