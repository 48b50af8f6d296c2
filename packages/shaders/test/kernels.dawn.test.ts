import { openDawn } from './harness/dawn.ts';
import { describeKernels } from './harness/host.ts';

describeKernels("Node's Dawn", { open: openDawn, variants: ['native', 'bare'] });
