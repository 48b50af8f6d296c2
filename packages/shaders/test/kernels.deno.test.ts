import { findLlvmpipeIcd } from '../../../scripts/firefox.mjs';
import { openDeno } from './harness/deno.ts';
import { describeKernels } from './harness/host.ts';

const missing = findLlvmpipeIcd() ? undefined : "Mesa's CPU Vulkan driver is not installed (Debian: mesa-vulkan-drivers)";

describeKernels("Deno's wgpu", { open: openDeno, variants: ['native', 'bare'], missing });
