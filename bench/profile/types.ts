import type { ProfileJob as Profile, ProfileReport } from '../../packages/cli/src/profile/types.ts';

export type { ProfileReport };

export interface ProfileJob extends Profile {
  readonly bareKernels?: boolean;
  readonly precision?: 'f16' | 'f32';
}

/** The result of `bench profile`. */
export interface ProfileResult {
  readonly command: 'profile';
  /** File name. */
  readonly model: string;
  readonly host: string;
  readonly report: ProfileReport;
}
