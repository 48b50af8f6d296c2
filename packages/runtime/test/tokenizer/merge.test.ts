import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergePairs } from '../../src/model/tokenizer/merge.ts';

type Rank = (left: string, right: string) => number | undefined;

/** As the algorithm is defined: look at all pairs, merge the best, again and again. */
function naive(text: string, rank: Rank): string[] {
  const pieces = Array.from(text);
  for (;;) {
    const ranks = pieces.slice(1).map((right, at) => rank(pieces[at] ?? '', right) ?? Infinity);
    const best = Math.min(...ranks);
    if (best === Infinity) return pieces;
    const at = ranks.indexOf(best);
    pieces.splice(at, 2, `${pieces[at]}${pieces[at + 1]}`);
  }
}

describe('mergePairs', () => {
  const unit = fc.constantFrom('a', 'b', '🦙');
  const word = fc.string({ unit, maxLength: 40 });

  it('merges pairs by rank like the definition', () => {
    const pair = fc.tuple(fc.string({ unit, minLength: 1, maxLength: 3 }), fc.string({ unit, minLength: 1, maxLength: 3 }), fc.nat(6));
    fc.assert(
      fc.property(word, fc.array(pair, { maxLength: 30 }), (text, pairs) => {
        const ranks = new Map(pairs.map(([left, right, rank]) => [`${left} ${right}`, rank]));
        const rank: Rank = (left, right) => ranks.get(`${left} ${right}`);
        expect(mergePairs(text, rank)).toEqual(naive(text, rank));
      }),
      { numRuns: 2000 },
    );
  });

  it('merges by scores of unions like the definition, ties included', () => {
    fc.assert(
      fc.property(word, fc.dictionary(fc.string({ unit, minLength: 2, maxLength: 6 }), fc.nat(3), { maxKeys: 30 }), (text, ranks) => {
        const rank: Rank = (left, right) => ranks[left + right];
        expect(mergePairs(text, rank)).toEqual(naive(text, rank));
      }),
      { numRuns: 2000 },
    );
  });

  it('has nothing to do for nothing', () => {
    expect(mergePairs('', () => 0)).toEqual([]);
    expect(mergePairs('a', () => 0)).toEqual(['a']);
  });

  it('asks for at most three ranks a character', () => {
    for (const text of ['a'.repeat(100_000), 'ab'.repeat(50_000)]) {
      let asked = 0;
      mergePairs(text, (left, right) => {
        asked++;
        return left.length + right.length <= 16 ? left.length : undefined;
      });
      expect(asked).toBeLessThanOrEqual(3 * text.length);
    }
  });
});
