import { kernelCases } from '../harness/kernel-case.ts';

import.meta.glob('./*.cases.ts', { eager: true });

/** Every kernel case there is. */
export const cases = kernelCases();
