import type { JobFailure } from './types.ts';

/** The fields of whatever was thrown; `code` is that of a `GatefoldError` or of Node. */
export function failureOf(error: unknown): JobFailure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected';
  return { code, message: error instanceof Error ? error.message : String(error) };
}
