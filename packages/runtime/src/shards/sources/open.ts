import type { ModelSource, Warning } from '../../api/types.ts';
import { SourceError } from '../errors.ts';
import type { ByteSource } from '../source.ts';
import { BlobSource } from './blob.ts';
import { HttpSource } from './http.ts';

/**
 * Where a model's bytes come from: strings and URLs are fetched, Files and Blobs read. Of several Files (a split
 * model) any may come first. Throws `SourceError` 'source-url' for what is no absolute URL.
 */
export function openSource(source: ModelSource, onWarning?: (warning: Warning) => void): ByteSource {
  if (source instanceof Blob) return new BlobSource(source, source instanceof File ? [source] : []);
  if (typeof source === 'string' || source instanceof URL) {
    if (!URL.canParse(source)) throw new SourceError('source-url', String(source), 'this is no URL');
    return new HttpSource(source, onWarning ? { onWarning } : {});
  }
  const [first] = source;
  if (!first) throw new SourceError('source-url', 'no file', 'the list of files is empty');
  return new BlobSource(first, source);
}
