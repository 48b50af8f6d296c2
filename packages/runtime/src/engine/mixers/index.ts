import type { Step } from '@gatefold/shaders';
import { gqaSteps } from './gqa.ts';
import type { MixerContext } from './mixer.ts';

/** Steps of a layer's mixer, whatever its kind. Kinds that few models have are loaded when a model has them. */
export async function mixerSteps(context: MixerContext): Promise<readonly Step[]> {
  const { attention } = context.layer;
  switch (attention.kind) {
    case 'gqa':
      return gqaSteps(context, attention);
    case 'mla': {
      const { mlaSteps } = await import('./mla.ts');
      return mlaSteps(context, attention);
    }
    case 'short-conv': {
      const { shortConvSteps } = await import('./short-conv.ts');
      return shortConvSteps(context, attention);
    }
    case 'delta-net': {
      const { deltaNetSteps } = await import('./delta-net.ts');
      return deltaNetSteps(context, attention);
    }
  }
}
