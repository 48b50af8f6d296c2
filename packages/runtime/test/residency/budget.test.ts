import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBudget, slotQuotas } from '../../src/residency/budget.ts';
import { GpuBudgetError } from '../../src/residency/paging-errors.ts';

describe('parseBudget', () => {
  it.each([
    [2e9, { bytes: 2e9 }],
    ['2000', { bytes: 2000 }],
    ['2GB', { bytes: 2e9 }],
    [' 1.5 gb ', { bytes: 1.5e9 }],
    ['512MiB', { bytes: 512 * 2 ** 20 }],
    ['50%', { share: 0.5 }],
    ['100 %', { share: 1 }],
  ])('reads %s', (value, budget) => expect(parseBudget(value)).toEqual(budget));

  it.each(['', '0', 0, -1, NaN, Infinity, '101%', '0%', '2TB', 'half', '1e9x', '%'])('refuses %s', (value) => expect(parseBudget(value)).toBeUndefined());
});

describe('slotQuotas', () => {
  const layer = { experts: 64, topK: 8, expertBytes: 100 };

  it('takes a share of each layer, and top-k at least', () => {
    expect(slotQuotas({ share: 0.5 }, 1e9, [layer, { ...layer, experts: 10 }])).toEqual([32, 8]);
    expect(slotQuotas({ share: 0.01 }, 1e9, [layer])).toEqual([8]);
    expect(slotQuotas({ share: 1 }, 1e9, [layer, { ...layer, experts: 4 }])).toEqual([64, 4]);
  });

  it('spreads bytes evenly, never above them', () => {
    const layers = [layer, { ...layer, experts: 32, topK: 2 }, { ...layer, expertBytes: 250 }];
    for (const bytes of [5000, 7777, 12_345, 1e9]) {
      const quotas = slotQuotas({ bytes }, 1000, layers);
      const used = quotas.reduce((sum, slots, i) => sum + slots * (layers[i]?.expertBytes ?? 0), 1000);
      expect(used).toBeLessThanOrEqual(bytes);
      if (bytes === 1e9) expect(quotas).toEqual([64, 32, 64]);
      // Nothing that fits is left out.
      else expect(bytes - used).toBeLessThan(250);
    }
  });

  it('refuses bytes that do not hold the trunk and the top-k experts, and names both numbers', () => {
    expect(slotQuotas({ bytes: 2600 }, 1000, [layer, layer])).toEqual([8, 8]);
    expect(() => slotQuotas({ bytes: 2599 }, 1000, [layer, layer])).toThrow(GpuBudgetError);
    expect(() => slotQuotas({ bytes: 2599 }, 1000, [layer, layer])).toThrow(/2599.*2600/);
  });

  it('takes just enough for any layers, and not a byte less', () => {
    const demand = fc.record({ experts: fc.integer({ min: 1, max: 64 }), topK: fc.integer({ min: 1, max: 8 }), expertBytes: fc.integer({ min: 1, max: 1e7 }) });
    fc.assert(
      fc.property(fc.array(demand, { minLength: 1, maxLength: 8 }), fc.nat({ max: 1e9 }), (layers, trunk) => {
        const tokens = layers.map(({ experts, topK }) => Math.min(experts, topK));
        const needed = layers.reduce((sum, { expertBytes }, i) => sum + (tokens[i] ?? 0) * expertBytes, trunk);
        expect(slotQuotas({ bytes: needed }, trunk, layers)).toEqual(tokens);
        expect(() => slotQuotas({ bytes: needed - 1 }, trunk, layers)).toThrow(expect.objectContaining({ name: 'GpuBudgetError', budget: needed - 1, needed }));
        // One expert more fits where one byte less does not suffice for it.
        const least = Math.min(...layers.flatMap(({ experts, expertBytes }, i) => (experts > (tokens[i] ?? 0) ? [expertBytes] : [])));
        if (!Number.isFinite(least)) return;
        const slots = (bytes: number) => slotQuotas({ bytes }, trunk, layers).reduce((a, b) => a + b);
        expect(slots(needed + least)).toBe(slots(needed) + 1);
        expect(slots(needed + least - 1)).toBe(slots(needed));
      }),
    );
  });
});
