import { expect, it } from 'vitest';
import { minifyWesl } from './strip-wesl.ts';

it('drops comments, nested ones too, and keeps what only looks like one', () => {
  expect(minifyWesl('// contract\nlet a = b / c; // why\nlet d = e /* one /* two */ still */ * f;')).toBe('let a=b/c;let d=e*f;');
  expect(minifyWesl('/* // not a line comment */ x')).toBe('x');
  expect(minifyWesl('// not /* a block\nx')).toBe('x');
});

it('drops white space only where tokens stay apart', () => {
  expect(minifyWesl('fn main( a : u32 )  {\n\n    return a - -1i;\n}\n')).toBe('fn main(b:u32){return b - -1i;}');
  expect(minifyWesl('@if(F16) enable f16;\nimport package::quant::{ scale, value };')).toBe('@if(F16)enable f16;import package::quant::{scale,value};');
});

it('takes line endings of any system', () => {
  expect(minifyWesl('a;\r\n  // b\r\nc;\r\n')).toBe('a;c;');
});

it('shortens names that a function keeps to itself', () => {
  const source = [
    'import package::other::{ helper, total };',
    'struct Pair { first: u32, second: u32 }',
    'fn one(@builtin(position) position: vec4f, pair: Pair) -> u32 {',
    '  @if(WIDE) let first = pair.first + helper(total);',
    '  @if(!WIDE) let first = pair . second;',
    '  for (var i = 0u; i < total; i++) { a = first; }',
    '  return first;',
    '}',
    'fn two(total2: u32) -> u32 {',
    '  return total2;',
    '}',
  ].join('\n');
  expect(minifyWesl(source)).toBe(
    'import package::other::{helper,total};struct Pair{first:u32,second:u32}' +
      'fn one(@builtin(position)b:vec4f,c:Pair)->u32{@if(WIDE)let d=c.first+helper(total);@if(!WIDE)let d=c . second;for(var e=0u;e<total;e++){a=d;}return d;}fn two(b:u32)->u32{return b;}',
  );
});
