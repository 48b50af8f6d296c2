import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StopStrings } from '../../src/api/stop-strings.ts';

/** All that comes out for these pieces, and whether a stop ended it. */
function run(pieces: readonly string[], stops: readonly string[]): { text: string; stopped: boolean } {
  const watch = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    const out = watch.push(piece);
    text += out.text;
    if (out.stopped) return { text, stopped: true };
  }
  return { text: text + watch.end(), stopped: false };
}

/** By the definition: the text up to the first end of a stop, less the longest stop that ends there. */
function reference(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (ending.length > 0) return { text: text.slice(0, end - Math.max(...ending.map(({ length }) => length))), stopped: true };
  }
  return { text, stopped: false };
}

test('without stops everything goes through at once', () => {
  const watch = new StopStrings([]);
  expect(watch.push('hello')).toEqual({ text: 'hello', stopped: false });
  expect(watch.end()).toBe('');
});

test('a stop that is split over tokens is never shown', () => {
  const watch = new StopStrings(['<|end|>']);
  expect(watch.push('Hi <|')).toEqual({ text: 'Hi ', stopped: false });
  expect(watch.push('en')).toEqual({ text: '', stopped: false });
  expect(watch.push('d|> and more')).toEqual({ text: '', stopped: true });
});

test('what only looked like a stop comes after all', () => {
  const watch = new StopStrings(['\n\n']);
  expect(watch.push('a\n')).toEqual({ text: 'a', stopped: false });
  expect(watch.push('b\n')).toEqual({ text: '\nb', stopped: false });
  expect(watch.end()).toBe('\n');
});

test('text and stops of any kind, cut anywhere, agree with the definition', () => {
  const word = (minLength: number, maxLength: number) => fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength, maxLength });
  fc.assert(
    fc.property(fc.array(word(0, 5), { maxLength: 8 }), fc.array(word(1, 4), { maxLength: 3 }), (pieces, stops) => {
      expect(run(pieces, stops)).toEqual(reference(pieces.join(''), stops));
    }),
    { numRuns: 5000 },
  );
});
