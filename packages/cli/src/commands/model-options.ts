import { count, defined, precision, requiredText, text, type Options } from '../args.ts';
import { locateModel } from '../hosts/locate-model.ts';

/** The options that every command with a model takes. */
export async function modelOptions(options: Options) {
  const given = requiredText(options, 'model');
  const rest = defined({
    contextLength: count(options, 'context', 1),
    prefillChunk: count(options, 'prefill-chunk', 1),
    maxBindingBytes: count(options, 'max-binding', 1),
    gpuBudget: text(options, 'gpu-budget'),
    hostBudget: text(options, 'host-budget'),
    precision: precision(options),
    bareKernels: options['bare-kernels'] === true ? true : undefined,
  });
  return { model: await locateModel(given), ...rest };
}
