import type { ModelSource } from '../api/types.ts';
import { SourceError } from '../shards/errors.ts';

/** The source as it can be sent to a worker, which has another base for relative URLs. Throws `SourceError` 'source-url'. */
export function absoluteSource(source: ModelSource): ModelSource {
  if (source instanceof URL) return source.href;
  if (typeof source !== 'string') return source;
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (!URL.canParse(source, base)) throw new SourceError('source-url', source, 'this is no URL');
  return new URL(source, base).href;
}
