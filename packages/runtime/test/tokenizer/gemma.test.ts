import fc from 'fast-check';
import { expect, it } from 'vitest';
import { tokenizerOf } from './vectors.ts';

const WORDS = ['<pad>', '<bos>', '<turn|>', '▁', 'a', 'b', 'c', '\n', '\n\n', '▁a', 'ab', '▁ab', 'bc', '▁▁', '\n\n\n'];
const BYTES = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const TOKENS = [...WORDS, ...BYTES];
/** `a b` comes before `▁ a`; `b c` comes too late for "abc". */
const MERGES = ['▁ ▁', 'a b', '▁ ab', '▁ a', 'b c'];
const KINDS = [...WORDS.map((_, id) => (id < 3 ? 3 : 1)), ...BYTES.map(() => 6)];

const tokenizer = () =>
  tokenizerOf(
    new Map<string, string | number | string[] | number[]>([
      ['tokenizer.ggml.model', 'gemma4'],
      ['tokenizer.ggml.tokens', TOKENS],
      ['tokenizer.ggml.token_type', KINDS],
      ['tokenizer.ggml.merges', MERGES],
      ['tokenizer.ggml.bos_token_id', 1],
    ]),
  );

it.each([
  [' ab', ['▁ab']],
  [' a', ['▁a']],
  ['abc', ['ab', 'c']],
  ['bc', ['bc']],
  ['  ab', ['▁▁', 'ab']],
  ['a\n\nb', ['a', '\n\n', 'b']],
  ['\n\n\n\n', ['\n', '\n', '\n', '\n']],
  ['é<turn|>', ['<0xC3>', '<0xA9>', '<turn|>']],
  ['', []],
])('%j', async (text, expected) => {
  expect((await tokenizer()).encode(text, { bos: false }).map((id) => TOKENS[id])).toEqual(expected);
});

it('begins with BOS, and any text comes back', async () => {
  const gemma = await tokenizer();
  expect(gemma.encode('a')).toEqual([1, 4]);
  expect(gemma.eosIds).toEqual([2]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      expect(gemma.decode(gemma.encode(text))).toBe(text.replaceAll('▁', ' '));
    }),
  );
});
