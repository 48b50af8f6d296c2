import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Belady, Lfu, Lru } from '../../../../bench/residency/policies.ts';
import { zipfTrace } from '../../../../bench/residency/zipf.ts';
import type { RouterTrace } from '../../src/model/router-trace.ts';
import { LayerSlots } from '../../src/residency/layer-slots.ts';
import { LfruPolicy } from '../../src/residency/policy/lfru.ts';
import { replay } from '../../src/residency/policy/replay.ts';

describe('LFRU', () => {
  it('gives up what is used least, and old uses count less', () => {
    const policy = new LfruPolicy(2);
    for (let i = 0; i < 4; i++) policy.use([0]);
    policy.use([1]);
    expect(policy.victim([0, 1])).toBe(1);
    for (let i = 0; i < 20; i++) policy.use([2]);
    policy.use([1]);
    expect(policy.victim([0, 1])).toBe(0);
    expect(policy.victim([3, 2])).toBe(3);
    expect(() => policy.victim([])).toThrow(RangeError);
  });
});

describe('slots of a layer', () => {
  it('hold what was put, never evict what is kept, and know since which version', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 2 }), { maxLength: 40 }), (count, steps) => {
        const slots = new LayerSlots(count);
        const inSlot = new Map<number, number>();
        for (const [version, experts] of steps.entries()) {
          slots.policy.use(experts);
          const keep = new Set(experts);
          for (const expert of experts) {
            if (slots.isResident(expert)) continue;
            const { slot, evicted } = slots.take(keep);
            expect(keep.has(evicted ?? -1)).toBe(false);
            expect(inSlot.get(slot)).toBe(evicted);
            slots.put(expert, slot);
            inSlot.set(slot, expert);
            expect(slots.isResident(expert, version)).toBe(false);
          }
          slots.publish(version);
          for (const expert of experts) expect(slots.isResident(expert, version)).toBe(true);
          for (const [slot, expert] of inSlot) expect(slots.slotOf(expert)).toBe(slot);
        }
      }),
    );
  });
});

describe('replayed traces', () => {
  const trace = zipfTrace({ layers: 2, experts: 32, topK: 4, tokens: 300, exponent: 1, repeat: 0.4, topicTokens: 100, seed: 5 });

  it.each([0.25, 0.5])('with %s of the experts resident, no policy beats the optimum, and ours beats LRU and LFU', (share) => {
    const { hitRate: best } = replay(trace, share, (steps) => new Belady(steps));
    const { hitRate: ours } = replay(trace, share, () => new LfruPolicy());
    expect(ours).toBeLessThanOrEqual(best);
    expect(best - ours).toBeLessThan(0.09);
    expect(ours).toBeGreaterThan(replay(trace, share, () => new Lru()).hitRate);
    expect(ours).toBeGreaterThan(replay(trace, share, () => new Lfu()).hitRate);
  });

  it('with all of them resident each expert misses once', () => {
    const used = trace.experts.map((_, layer) => new Set(trace.tokens.flatMap((token) => token[layer] ?? [])).size).reduce((a, b) => a + b);
    const { hitRate, fetched } = replay(trace, 1, () => new LfruPolicy());
    expect(hitRate).toBeCloseTo(1 - used / (2 * 4 * 300), 12);
    expect(fetched).toBeCloseTo(used / 300, 12);
  });

  it('what was foretold rightly is a hit and brought once; what was foretold wrongly is brought beside it', () => {
    const foretold = trace.tokens.map(([first = [], second = []]) => [[], [...first.slice(0, 2), ...second.slice(0, 2)]]);
    const right = trace.tokens.map(([, second = []]) => [[], second]);
    const lfru = () => new LfruPolicy();
    const onDemand = replay(trace, 0.25, lfru, true);
    expect(onDemand).toEqual(replay(trace, 0.25, lfru));
    const ahead = replay({ ...trace, foretold: right }, 0.25, lfru, true);
    // The second layer never misses; evictions are the same.
    expect(ahead.hitRate).toBeGreaterThan(0.5 + onDemand.hitRate / 4);
    expect(ahead.fetched).toBeCloseTo(onDemand.fetched, 12);
    const guessed = replay({ ...trace, foretold }, 0.25, lfru, true);
    expect(guessed.hitRate).toBeGreaterThan(onDemand.hitRate);
    expect(guessed.hitRate).toBeLessThan(ahead.hitRate);
    expect(guessed.fetched).toBeGreaterThan(onDemand.fetched);
  });

  it.each([0.25, 0.5])("with %s of the demo model's experts resident, its recorded choices hit at most 8 points less than at the optimum", (share) => {
    const recorded: RouterTrace = JSON.parse(readFileSync(join(import.meta.dirname, '../../../../bench/residency/stories-trace.json'), 'utf8'));
    const { hitRate: best } = replay(recorded, share, (steps) => new Belady(steps));
    const { hitRate: ours } = replay(recorded, share, () => new LfruPolicy(), true);
    expect(best - ours).toBeLessThan(0.08);
  });
});
