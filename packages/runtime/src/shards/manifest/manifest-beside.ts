import type { Warning } from '../../api/types.ts';
import type { ShardPlan } from '../shard.ts';
import { ManifestError } from './errors.ts';
import { MAX_MANIFEST_BYTES, manifestName, parseManifest, promisesOf, type ManifestShard, type ShardManifest } from './manifest.ts';

/** Longer than this a manifest is not waited for: the model works without one. */
const TIMEOUT_MS = 10_000;

export interface ManifestOptions {
  readonly signal?: AbortSignal;
  readonly onWarning?: (warning: Warning) => void;
}

/** What a manifest beside the URL promises; nothing where there is none, and with a warning where it is no good. */
export async function manifestBeside(url: string, plan: ShardPlan, { signal, onWarning }: ManifestOptions): Promise<readonly ManifestShard[]> {
  try {
    const manifest = await fetchManifest(url, signal);
    return manifest ? [...promisesOf(manifest, plan, manifestName(url)).values()] : [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    onWarning?.({ code: 'manifest-ignored', message: `${error.message} It is ignored: shards are checked against their first download.` });
    return [];
  }
}

/** The manifest beside a URL; undefined where there is none, or none can be had now. Throws `ManifestError` for one that is damaged. */
async function fetchManifest(modelUrl: string, signal?: AbortSignal): Promise<ShardManifest | undefined> {
  const url = new URL(modelUrl);
  url.pathname = manifestName(url.pathname);
  const text = await fetchText(url, signal);
  return text === undefined ? undefined : parseManifest(text, url.href);
}

async function fetchText(url: URL, signal: AbortSignal | undefined): Promise<string | undefined> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, { cache: 'no-cache', signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
    const isJson = !/html/.test(response.headers.get('content-type') ?? '');
    if (!response.ok || !isJson || Number(response.headers.get('content-length')) > MAX_MANIFEST_BYTES) {
      await response.body?.cancel();
      return undefined;
    }
    return await response.text();
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}
