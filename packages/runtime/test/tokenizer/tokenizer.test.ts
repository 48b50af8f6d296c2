import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelMetadataError } from '../../src/model/families/errors.ts';
import { UnsupportedTokenizerError } from '../../src/model/tokenizer/errors.ts';
import { createTokenizer, type DecodeOptions, type Tokenizer } from '../../src/model/tokenizer/tokenizer.ts';
import { smallMetadata, smallTokenizer, smallTokenizers, tokenizerOf } from './vectors.ts';

const BYTE_LEVEL = smallTokenizers().filter(({ name }) => name !== 'spm-512');

/** Any text but half surrogate pairs, which are no text. */
const anyText = fc.string({ unit: 'binary', maxLength: 60 });

function streamed(tokenizer: Tokenizer, ids: readonly number[], options?: DecodeOptions): string[] {
  const stream = tokenizer.createStream(options);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

describe('text to ids and back', () => {
  it.each(BYTE_LEVEL)('$name: any text', async ({ metadata }) => {
    const tokenizer = await tokenizerOf(await metadata());
    fc.assert(
      fc.property(anyText, fc.boolean(), (text, special) => {
        expect(tokenizer.decode(tokenizer.encode(text, { special, bos: false }), { special })).toBe(text);
      }),
    );
  });

  it.each(['default', 'tekken', 'bailingmoe2', 'hunyuan-dense', 'minimax-m2', 'dbrx', 'starcoder'])('cut as %s does: any text', async (pre) => {
    const tokenizer = await smallTokenizer('qwen2', { 'tokenizer.ggml.pre': pre });
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it('spm: any text, where "▁" is a space', async () => {
    const tokenizer = await smallTokenizer('spm');
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replaceAll('▁', ' '));
      }),
    );
  });

  it.each(['qwen2', 'spm'])('%s: 100 kB without a space, and of spaces alone', async (pre) => {
    const tokenizer = await smallTokenizer(pre);
    for (const text of ['🦙e'.repeat(20_000), 'x'.repeat(100_000), ' '.repeat(100_000), '\n'.repeat(100_000)]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });

  it('leaves out bytes that a byte-level vocabulary lacks', async () => {
    const tokens = ['a', 'b', 'ab'];
    const tokenizer = await tokenizerOf(
      new Map<string, string | string[]>([
        ['tokenizer.ggml.model', 'gpt2'],
        ['tokenizer.ggml.pre', 'gpt-2'],
        ['tokenizer.ggml.tokens', tokens],
        ['tokenizer.ggml.merges', ['a b', 'ab b']],
      ]),
    );
    expect(tokenizer.encode('abcab')).toEqual([2, 2]);
    // The second merge leads to no token.
    expect(tokenizer.encode('abb')).toEqual([0, 1, 1]);
  });
});

describe('streams', () => {
  it('a character of four bytes comes with its last byte', async () => {
    for (const pre of ['qwen2', 'spm']) {
      const tokenizer = await smallTokenizer(pre);
      const pieces = streamed(tokenizer, tokenizer.encode('é🦙!', { bos: false }));
      expect(pieces.join('')).toBe('é🦙!');
      expect(pieces.filter((piece) => piece !== '').every((piece) => ['é', '🦙', '!'].includes(piece))).toBe(true);
      expect(pieces).toContain('🦙');
    }
  });

  it('U+FFFD stands only for bytes that are no UTF-8', async () => {
    const tokenizer = await smallTokenizer('spm');
    const byte = (value: number) => 3 + value;
    expect(streamed(tokenizer, [byte(0xf0), byte(0x9f), byte(0xa6), byte(0x99)])).toEqual(['', '', '', '🦙', '']);
    expect(streamed(tokenizer, [byte(0xf0), byte(0x9f), byte(0x41)])).toEqual(['', '', '\uFFFDA', '']);
    expect(streamed(tokenizer, [byte(0xff), byte(0x0a)])).toEqual(['\uFFFD', '\n', '']);
    expect(streamed(tokenizer, [byte(0xe2), byte(0x82)])).toEqual(['', '', '\uFFFD']);
    // A byte order mark is text like any other.
    expect(streamed(tokenizer, [byte(0xef), byte(0xbb), byte(0xbf)])).toEqual(['', '', '\uFEFF', '']);
  });

  it('a special token that is not written does not part a character', async () => {
    const tokenizer = await smallTokenizer('spm');
    expect(streamed(tokenizer, [3 + 0xc3, 2, 3 + 0xa9])).toEqual(['', '', 'é', '']);
    expect(streamed(tokenizer, [3 + 0xc3, 2, 3 + 0xa9], { special: true })).toEqual(['', '\uFFFD</s>', '\uFFFD', '']);
  });

  it.each(smallTokenizers())('$name: joined, they are what decode gives', async ({ metadata }) => {
    const tokenizer = await tokenizerOf(await metadata());
    const options = fc.record({ special: fc.boolean(), continued: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fc.nat(530), { maxLength: 40 }), options, (ids, how) => {
        expect(streamed(tokenizer, ids, how).join('')).toBe(tokenizer.decode(ids, how));
      }),
    );
  });

  it('an answer keeps the space that it begins with', async () => {
    const tokenizer = await smallTokenizer('spm');
    const ids = tokenizer.encode('world', { bos: false });
    expect(tokenizer.decode(ids)).toBe('world');
    expect(tokenizer.decode([2, ...ids])).toBe('world');
    expect(tokenizer.decode(ids, { continued: true })).toBe(' world');
    expect(tokenizer.createStream({ continued: true }).push(511)).toBe(' ');
  });
});

describe('special tokens', () => {
  it('stand for themselves in a text, or are text', async () => {
    const tokenizer = await smallTokenizer('qwen2');
    const text = '<|im_start|>user\nHi<|im_end|>';
    expect(tokenizer.encode(text)).toEqual([510, ...tokenizer.encode('user\nHi'), 511]);
    const asText = tokenizer.encode(text, { special: false });
    expect(asText).not.toContain(510);
    expect(asText).not.toContain(511);
    expect(tokenizer.decode(asText)).toBe(text);
    expect(tokenizer.decode([510, ...tokenizer.encode('Hi'), 511])).toBe('Hi');
    expect(tokenizer.decode([510, ...tokenizer.encode('Hi'), 511], { special: true })).toBe('<|im_start|>Hi<|im_end|>');
  });

  it('come with a space before the text that follows (SentencePiece)', async () => {
    const tokenizer = await smallTokenizer('spm');
    expect(tokenizer.encode('<s>a</s>a', { bos: false })).toEqual([1, 262, 2, 262]);
    const bare = await smallTokenizer('spm', { 'tokenizer.ggml.add_space_prefix': false });
    expect(bare.decode(bare.encode('<s> a</s>a', { bos: false }), { special: true })).toBe('<s> a</s>a');
    expect(bare.encode('a', { bos: false })).toHaveLength(1);
  });

  it('are never merged into (SentencePiece)', async () => {
    // "<", "/s" and "</s" lead to "</s>", which scores best but is a control token; "<0x41>" is a byte's.
    const tokenizer = await tokenizerOf(
      new Map<string, string | boolean | string[] | number[]>([
        ['tokenizer.ggml.model', 'llama'],
        ['tokenizer.ggml.tokens', ['<unk>', '<s>', '</s>', '<', '/', 's', '>', '/s', '</s', '<0x41>', '0', 'x', '4', '1', '0x41', '<0x41', '0x', '0x4']],
        ['tokenizer.ggml.token_type', [2, 3, 3, 1, 1, 1, 1, 1, 1, 6, 1, 1, 1, 1, 1, 1, 1, 1]],
        ['tokenizer.ggml.scores', Array.from({ length: 18 }, () => 0)],
        ['tokenizer.ggml.add_space_prefix', false],
      ]),
    );
    expect(tokenizer.encode('</s>', { special: false, bos: false })).toEqual([8, 6]);
    expect(tokenizer.encode('</s>', { bos: false })).toEqual([2]);
    expect(tokenizer.encode('<0x41>A', { bos: false })).toEqual([15, 6, 9]);
    // No token and no byte tokens: unknown, byte by byte.
    expect(tokenizer.encode('é', { bos: false })).toEqual([]);
  });

  it('that the file calls user-defined are text always, the longest first', async () => {
    const metadata = await smallMetadata('gpt-2');
    const tokens = [...(metadata.get('tokenizer.ggml.tokens') as string[]), '==', '===', '\u200B'];
    const kinds = [...(metadata.get('tokenizer.ggml.token_type') as Int32Array), 4, 4, 4];
    const tokenizer = await smallTokenizer('gpt-2', { 'tokenizer.ggml.tokens': tokens, 'tokenizer.ggml.token_type': kinds });
    expect(tokenizer.encode('a=====b', { special: false })).toEqual([...tokenizer.encode('a'), 513, 512, ...tokenizer.encode('b')]);
    expect(tokenizer.decode([513, 514])).toBe('===\u200B');
  });
});

describe('beginning and end', () => {
  it('BOS comes first where the file asks for it, once', async () => {
    const spm = await smallTokenizer('spm');
    expect(spm.bosId).toBe(1);
    expect(spm.encode('')).toEqual([1]);
    expect(spm.encode('a')).toEqual([1, 262]);
    expect(spm.encode('<s>a')).toEqual([1, 262]);
    expect(spm.encode('a', { bos: false })).toEqual([262]);
    const qwen2 = await smallTokenizer('qwen2');
    expect(qwen2.bosId).toBe(509);
    expect(qwen2.encode('')).toEqual([]);
  });

  it('what is usual holds where the file does not say', async () => {
    const unsaid = async (pre: string) => {
      const metadata = new Map(await smallMetadata(pre));
      metadata.delete('tokenizer.ggml.add_bos_token');
      return (await tokenizerOf(metadata)).encode('');
    };
    expect(await unsaid('llama-bpe')).toEqual([509]);
    expect(await unsaid('spm')).toEqual([1]);
    expect(await unsaid('gpt-2')).toEqual([]);
  });

  it('ends are known by role and by name, EOS first', async () => {
    expect((await smallTokenizer('qwen2')).eosIds).toEqual([511, 509]);
    expect((await smallTokenizer('gpt-2')).eosIds).toEqual([509, 511]);
    expect((await smallTokenizer('spm')).eosIds).toEqual([2]);
    expect((await smallTokenizer('gpt-2', { 'tokenizer.ggml.eom_token_id': 7, 'tokenizer.ggml.eot_token_id': 10_000 })).eosIds).toEqual([509, 7, 511]);
  });

  it('names that ordinary text can have count for special tokens only', async () => {
    const tokens = ['</s>', '<|end|>', '<|return|>'];
    const of = async (kinds: number[], names = tokens) => {
      const metadata = new Map<string, string | string[] | number[]>([
        ['tokenizer.ggml.model', 'gpt2'],
        ['tokenizer.ggml.pre', 'gpt-2'],
        ['tokenizer.ggml.tokens', names],
        ['tokenizer.ggml.token_type', kinds],
        ['tokenizer.ggml.merges', []],
      ]);
      return tokenizerOf(metadata);
    };
    expect((await of([1, 4, 3])).eosIds).toEqual([1, 2]);
    expect((await of([3, 4, 3])).eosIds).toEqual([0, 1, 2]);
    // Not written, though the file calls it text.
    expect((await of([1, 4, 3])).decode([1])).toBe('');
    expect((await of([1, 4, 3])).decode([0])).toBe('</s>');
    // Harmony: <|end|> closes a message, not the answer.
    expect((await of([3, 3, 3], ['<|call|>', '<|end|>', '<|return|>'])).eosIds).toEqual([0, 2]);
  });
});

describe('files that are not as expected', () => {
  it('none: no tokeniser', async () => {
    expect(await createTokenizer(new Map())).toBeUndefined();
    expect(await createTokenizer(new Map([['tokenizer.ggml.model', 'no_vocab']]))).toBeUndefined();
  });

  it('a kind that is not known: an error that names it and those that are', async () => {
    const error = await createTokenizer(new Map([['tokenizer.ggml.model', 'rwkv']])).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnsupportedTokenizerError);
    expect(error).toMatchObject({ code: 'unsupported-tokenizer', kind: 'rwkv', supported: ['gpt2', 'llama', 'gemma4'] });
    expect(String(error)).toContain('"rwkv" are not supported; supported: gpt2, llama, gemma4');
  });

  it.each([['wavelet', '"wavelet"'], [undefined, 'does not say']])('words cut in a way that is not known (%s): a warning and the default', async (pre, told) => {
    const metadata = new Map(await smallMetadata('gpt-2'));
    if (pre === undefined) metadata.delete('tokenizer.ggml.pre');
    else metadata.set('tokenizer.ggml.pre', pre);
    const warnings: { code: string; message: string }[] = [];
    const tokenizer = await createTokenizer(metadata, (warning) => warnings.push(warning));
    expect(warnings).toMatchObject([{ code: 'unknown-tokenizer', message: expect.stringContaining(told) }]);
    const standard = await smallTokenizer('gpt-2', { 'tokenizer.ggml.pre': 'default' });
    expect(tokenizer?.encode('It cost 12345 + $7.')).toEqual(standard.encode('It cost 12345 + $7.'));
  });

  it.each([
    ['gpt-2', 'tokenizer.ggml.tokens', undefined],
    ['gpt-2', 'tokenizer.ggml.tokens', [1, 2]],
    ['gpt-2', 'tokenizer.ggml.merges', undefined],
    ['gpt-2', 'tokenizer.ggml.merges', 'a b'],
    ['gpt-2', 'tokenizer.ggml.token_type', new Int32Array(511)],
    ['spm', 'tokenizer.ggml.scores', undefined],
    ['spm', 'tokenizer.ggml.scores', ['a']],
    ['spm', 'tokenizer.ggml.scores', new Float32Array(3)],
  ])('%s: %s is %o', async (pre, key, value) => {
    const metadata = new Map(await smallMetadata(pre));
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
    const error = await createTokenizer(metadata).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelMetadataError);
    expect(error).toMatchObject({ key });
  });

  it('ids outside the vocabulary have no text', async () => {
    expect((await smallTokenizer('qwen2')).decode([-1, 512, 1e9, 0.5])).toBe('');
  });
});
