import { GatefoldError } from '../errors.ts';

/** What to do about each way in which a source fails. */
const FIXES = {
  'source-url': 'Give an http(s) URL, or a File or Blob.',
  'source-missing': 'Check the address.',
  'source-refused': 'The file needs a sign-in or a licence to be accepted; download it and open it as a file.',
  'source-busy': 'Wait a while, then load again; what has been stored is kept.',
  'source-server': 'Try again later or use another address.',
  'source-network': 'Check the connection (a server of another site must also allow this page by CORS), then load again; what has been stored is kept.',
  'source-changed': 'Load the model again to get the new version.',
  'source-truncated': 'The file is incomplete; get it again.',
  'source-sibling': 'Open it together with the others: a split model needs all of its files.',
} as const;

export type SourceErrorCode = keyof typeof FIXES;

/** Bytes could not be had from where the model comes from. */
export class SourceError extends GatefoldError {
  override readonly name = 'SourceError';
  /** What the person can do. Also the end of the message. */
  readonly fix: string;

  constructor(
    override readonly code: SourceErrorCode,
    /** URL, file name or path. */
    readonly url: string,
    problem: string,
    /** HTTP status, where there was an answer. */
    readonly status?: number,
    options?: ErrorOptions,
  ) {
    const fix = FIXES[code];
    super(code, `${url}: ${problem}. ${fix}`, { url, fix, ...(status === undefined ? {} : { status }) }, options);
    this.fix = fix;
  }
}

/** A shard's bytes have another hash than they should, twice in a row. */
export class ShardHashError extends GatefoldError {
  override readonly name = 'ShardHashError';
  constructor(
    readonly shard: string,
    readonly url: string,
    /** SHA-256, hex. */
    readonly expected: string,
    readonly actual: string,
    /** Who says what the hash should be: the manifest, or the first fetch of this shard. */
    readonly origin: 'manifest' | 'first fetch',
  ) {
    const fix =
      origin === 'manifest'
        ? 'The file or the manifest is wrong; get both from one source that you trust.'
        : 'The file has changed since it was stored; delete the stored model and load it again.';
    super('shard-hash', `${url}: shard ${shard} has SHA-256 ${actual}, but by the ${origin} it is ${expected}. ${fix}`, { shard, url, expected, actual, origin });
  }
}
