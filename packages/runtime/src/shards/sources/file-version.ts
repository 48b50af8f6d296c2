/** What an HTTP answer says of the version of the file that it is of. */
export interface FileVersion {
  /** Opaque part of the ETag; weak ones count, since a CDN may weaken what the origin sent. */
  readonly etag: string | undefined;
  /** ETag as `If-Range` takes it: strong ones only. */
  readonly strongEtag: string | undefined;
  readonly lastModified: string | undefined;
  readonly size: number | undefined;
}

/** @param size whole size of the file, where the answer tells */
export function fileVersion(headers: Headers, size: number | undefined): FileVersion {
  const given = headers.get('etag') ?? undefined;
  return {
    etag: given?.replace(/^W\//, ''),
    strongEtag: given?.startsWith('W/') ? undefined : given,
    lastModified: headers.get('last-modified') ?? undefined,
    size,
  };
}

/** How two answers contradict each other; undefined where they may be of one version. ETags decide where both have one. */
export function versionConflict(a: FileVersion, b: FileVersion): string | undefined {
  if (a.size !== undefined && b.size !== undefined && a.size !== b.size) return `its size went from ${a.size} to ${b.size} bytes`;
  if (a.etag !== undefined && b.etag !== undefined) return a.etag === b.etag ? undefined : `its ETag went from ${a.etag} to ${b.etag}`;
  if (a.lastModified !== undefined && b.lastModified !== undefined && a.lastModified !== b.lastModified) {
    return `its date went from ${a.lastModified} to ${b.lastModified}`;
  }
  return undefined;
}

/** What two answers that do not contradict each other tell together. */
export function mergeVersions(a: FileVersion, b: FileVersion): FileVersion {
  return {
    etag: a.etag ?? b.etag,
    strongEtag: a.strongEtag ?? b.strongEtag,
    lastModified: a.lastModified ?? b.lastModified,
    size: a.size ?? b.size,
  };
}

/** One string that differs between versions; undefined where the server tells nothing. */
export function versionName({ etag, lastModified, size }: FileVersion): string | undefined {
  if (etag !== undefined) return `etag ${etag}`;
  return lastModified === undefined ? undefined : `modified ${lastModified} size ${size}`;
}
