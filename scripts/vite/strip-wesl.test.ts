import { expect, it } from 'vitest';
import { minifyWesl } from './strip-wesl.ts';

it('drops comments, nested ones too, and keeps what only looks like one', () => {
  expect(minifyWesl('// contract\nlet a = b / c; // why\nlet d = e /* one /* two */ still */ * f;')).toBe('let a=b/c;let d=e*f;');
  expect(minifyWesl('/* // not a line comment */ x')).toBe('x');
  expect(minifyWesl('// not /* a block\nx')).toBe('x');
});

it('drops white space only where tokens stay apart', () => {
  expect(minifyWesl('fn main( a : u32 )  {\n\n    return a - -1i;\n}\n')).toBe('fn main(a:u32){return a - -1i;}');
  expect(minifyWesl('@if(F16) enable f16;\nimport package::quant::{ scale, value };')).toBe('@if(F16)enable f16;import package::quant::{scale,value};');
});

it('takes line endings of any system', () => {
  expect(minifyWesl('a;\r\n  // b\r\nc;\r\n')).toBe('a;c;');
});
