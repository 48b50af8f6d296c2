export interface ReadOptions {
  /** Aborts the read, which rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Not from what earlier reads have left: that was found to be damaged. */
  readonly fresh?: boolean;
  /** Called with byte counts as they arrive. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Somewhere that bytes of one file come from: an HTTP server with Range, a File or Blob, a path in Node.
 * `model/gguf` and `shards` read through this and know nothing else of the place.
 */
export interface ByteSource {
  /** What a person would call it: URL or file name. Used in messages and as part of the model's identity. */
  readonly name: string;
  /** Whole size in bytes; undefined until known (an HTTP source learns it with the first response). */
  readonly size: number | undefined;
  /**
   * Bytes [offset, offset + length). Rejects with a typed error when the file is shorter, changed (ETag), gone or the
   * network is lost; retries what is worth retrying.
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** The source of another file of the same model (split GGUF), by its bare file name. */
  sibling(fileName: string): ByteSource;
  /** Identifies this version of the file where the place tells (ETag, last-modified + size); undefined where it does not. */
  version(): Promise<string | undefined>;
}
