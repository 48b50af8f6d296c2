import { openChromium } from './harness/chromium.ts';
import { describeKernels } from './harness/host.ts';

describeKernels('Chromium', { open: openChromium, variants: ['native'] });
