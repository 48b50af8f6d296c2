import { expect, test } from 'vitest';
import type { EvalTensors } from '@gatefold/runtime';
import { encodeSafetensors } from '../src/job/safetensors.ts';

/** A strict reader of the format: what it accepts, the reference implementation does. */
function read(file: Uint8Array): Record<string, { dtype: string; shape: number[]; values: number[] }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const json = new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + headerLength));
  expect(json.startsWith('{')).toBe(true);
  expect(json.trimEnd().endsWith('}')).toBe(true);
  const start = 8 + headerLength;
  expect(start % 8).toBe(0);
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(json);
  let end = 0;
  const tensors = Object.entries(header).map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
    // Offsets are contiguous, and as long as the shape says.
    expect(from).toBe(end);
    end = to;
    const length = shape.reduce((product, size) => product * size, 1);
    expect(to - from).toBe(4 * length);
    const get = (at: number) => (dtype === 'F32' ? view.getFloat32(at, true) : view.getInt32(at, true));
    return [name, { dtype, shape, values: Array.from({ length }, (_, i) => get(start + from + 4 * i)) }] as const;
  });
  expect(start + end).toBe(file.length);
  return Object.fromEntries(tensors);
}

const f32 = (shape: number[], values: number[]) => ({ dtype: 'F32' as const, shape, data: new Float32Array(values) });
const i32 = (shape: number[], values: number[]) => ({ dtype: 'I32' as const, shape, data: new Int32Array(values) });

test('tensors come back as they were', () => {
  const tensors: EvalTensors = {
    logits: f32([2, 3], [1.5, -2, 3e38, -0, 1e-45, 0.1]),
    'moe.0.ids': i32([2, 2], [0, -1, 2 ** 31 - 1, -(2 ** 31)]),
    'layer.10': f32([1], [Infinity]),
  };
  const back = read(encodeSafetensors(tensors));
  expect(Object.keys(back)).toEqual(Object.keys(tensors));
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) expect(back[name]).toEqual({ dtype, shape: [...shape], values: [...data] });
});

test('NaN stays NaN, views keep to their part, and empty tensors and files are legal', () => {
  const whole = new Float32Array([9, NaN, 1, 9]);
  const tensors: EvalTensors = { part: { dtype: 'F32', shape: [2], data: whole.subarray(1, 3) }, empty: f32([0, 4], []) };
  expect(read(encodeSafetensors(tensors))).toEqual({ part: { dtype: 'F32', shape: [2], values: [NaN, 1] }, empty: { dtype: 'F32', shape: [0, 4], values: [] } });
  expect(read(encodeSafetensors({}))).toEqual({});
});

test('the data is aligned, whatever the names are long', () => {
  for (let length = 1; length < 20; length++) read(encodeSafetensors({ ['n'.repeat(length)]: f32([1], [1]) }));
});
