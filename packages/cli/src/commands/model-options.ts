import { count, defined, requiredText, type Options } from '../args.ts';

/** The options that every command with a model takes. */
export function modelOptions(options: Options) {
  return {
    model: requiredText(options, 'model'),
    ...defined({
      contextLength: count(options, 'context', 1),
      prefillChunk: count(options, 'prefill-chunk', 1),
      maxBindingBytes: count(options, 'max-binding', 1),
      bareKernels: options['bare-kernels'] === true ? true : undefined,
    }),
  };
}
