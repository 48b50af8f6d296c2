import { describe, expect, it } from 'vitest';
import { realTokenizers, smallTokenizers, tokenizerOf } from './vectors.ts';

/** What transformers does to GPT-2's decoded text, and we do not: it is no part of the tokeniser. */
function cleanUp(text: string): string {
  return text.replaceAll(/ ([.?!,])/g, '$1').replaceAll(" ' ", "'").replaceAll(/ (n't|'m|'s|'ve|'re)/g, '$1');
}

describe('ids and texts of known tokenisers', () => {
  it.each(smallTokenizers())('$name', async ({ metadata, vectors }) => {
    const tokenizer = await tokenizerOf(await metadata());
    for (const { text, ids, decoded } of vectors()) {
      expect(tokenizer.encode(text, { bos: false }), text).toEqual(ids);
      expect(tokenizer.decode(ids, { special: true }), text).toBe(decoded);
    }
  });

  it.each(realTokenizers())('$name', async ({ name, metadata, vectors }) => {
    const tokenizer = await tokenizerOf(await metadata());
    expect(vectors().length).toBeGreaterThan(40);
    for (const { text, ids, decoded } of vectors()) {
      const hasBos = ids.length > 0 && ids[0] === tokenizer.bosId;
      expect(tokenizer.encode(text, { bos: hasBos }), text).toEqual(ids);
      const back = tokenizer.decode(ids, { special: true });
      if (decoded === undefined) expect(back, text).toBe(text);
      else expect(name === 'gpt-2' ? cleanUp(back) : back, text).toBe(decoded);
    }
  });
});
