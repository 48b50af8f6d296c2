import { count, type Options } from '../../packages/cli/src/args.ts';
import { digits, table } from '../../packages/cli/src/numbers.ts';
import { hostName, print, runAlone } from '../src/command.ts';
import type { ProductsResult } from './types.ts';

/** One token's matrix products of OLMoE-1B-7B's shape, as shipped and in int8, each alone. */
export async function productsCommand(options: Options): Promise<void> {
  const layers = count(options, 'layers', 1) ?? 8;
  await print(options, { command: 'products', host: hostName(options), layers, report: await runAlone(options, 'products', { layers }) }, showProducts);
}

function showProducts({ host, layers, report: { adapter, clock, rows } }: ProductsResult): string {
  const lines = rows.map(({ product, weights, variant, threads, rowsAThread, us, bytes, difference }) => [
    product,
    weights,
    variant,
    `${threads} × ${rowsAThread}`,
    digits(us),
    digits(bytes / us / 1e3),
    variant === 'int8' ? difference.toExponential(1) : '',
  ]);
  return [
    `products · ${layers} layers · ${host} · ${adapter.vendor} ${adapter.architecture} ${adapter.description} · ${clock}`,
    '',
    table(['product', 'weights', 'variant', 'threads × rows', 'µs', 'GB/s', 'difference'], lines),
  ].join('\n');
}
