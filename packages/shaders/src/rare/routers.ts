import groups from '../wgsl/rare/router_groups.wesl?raw';
import sqrtSoftplus from '../wgsl/rare/sqrt_softplus.wesl?raw';

/** What few routers have, keyed as in `context.ts`: groups of experts, a score. */
export const routers: Readonly<Record<string, string>> = { 'rare/router_groups.wesl': groups, 'rare/sqrt_softplus.wesl': sqrtSoftplus };
