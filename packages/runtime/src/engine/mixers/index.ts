import type { Step } from '@gatefold/shaders';
import { gqaSteps } from './gqa.ts';
import type { MixerContext } from './mixer.ts';

/** Steps of a layer's mixer, whatever its kind. */
export function mixerSteps(context: MixerContext): Promise<readonly Step[]> {
  return gqaSteps(context, context.layer.attention);
}
