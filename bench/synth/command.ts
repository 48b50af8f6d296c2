import { UsageError, count, requiredText, type Options } from '../../packages/cli/src/args.ts';
import { SHAPES, type ShapeName } from './shapes.ts';
import { FILE_TYPES, type FileType } from './tensors.ts';
import { writeModel } from './write-model.ts';

/** Writes a model of a real shape with random weights. */
export async function synthCommand(options: Options): Promise<void> {
  const name = oneOf('shape', requiredText(options, 'shape'), Object.keys(SHAPES) as ShapeName[]);
  const type: FileType = oneOf('type', requiredText(options, 'type'), FILE_TYPES);
  const out = requiredText(options, 'out');
  const shape = SHAPES[name];
  const layers = count(options, 'layers', 1) ?? shape.layers;
  const started = performance.now();
  const bytes = writeModel(out, `${name} ${type}, ${layers} layers, random weights`, { ...shape, layers }, type, count(options, 'seed') ?? 1);
  process.stderr.write(`${out}: ${(bytes / 1e9).toFixed(2)} GB in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === value);
  if (!found) throw new UsageError(`--${option} is "${value}", but must be one of ${known.join(', ')}.`);
  return found;
}
