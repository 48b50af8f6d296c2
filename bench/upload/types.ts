/** How fast bytes get from JavaScript to memory that shaders read. */
export interface UploadJob {
  /** Of each way. */
  readonly bytes: number;
}

export interface UploadReport {
  readonly bytes: number;
  readonly rows: readonly UploadRow[];
}

export interface UploadRow {
  /** `writeBuffer`, `mapped ring`, `mappedAtCreation`, and the engine's uploader, which repacks as well. */
  readonly way: string;
  /** Bytes of a chunk. */
  readonly chunk: number;
  /** Buffers in turn. */
  readonly depth: number;
  readonly ms: number;
}

/** The result of `bench upload`. */
export interface UploadResult {
  readonly command: 'upload';
  readonly host: string;
  readonly report: UploadReport;
}
