import { describe, expect, it } from 'vitest';
import { plots, type Results } from './command.ts';

const adapter = { vendor: 'some', architecture: 'gpu', description: '', features: [], maxBufferSize: 1, maxStorageBufferBindingSize: 1 };

function decoding(promptTokens: number, decodeTps: number, engine = 'gatefold'): Results[string] {
  const report = { engine, backend: 'webgpu', loadMs: 1, promptTokens, genTokens: 128, sessions: 1, runs: [{ prefillTps: 1, decodeTps }], adapter };
  return { command: 'compare', date: '2026-11-25T12:00:00Z', model: 'a <model>', host: 'chromium', sampling: {}, rows: [{ report }] };
}

describe('plots', () => {
  it('draw decoding over the context, one line an engine, with machine and date', () => {
    const svg = plots({ short: decoding(512, 800), long: decoding(4096, 600), peer: decoding(512, 60, 'other & peer'), broken: null })['context.svg'] ?? '';
    expect(svg.match(/<circle /g)).toHaveLength(3);
    expect(svg).toContain('some gpu · 2026-11-25');
    expect(svg).toContain('Decoding a &lt;model>');
    expect(svg).toContain('other &amp; peer');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('draw the stages of a token beside their floors', () => {
    const stage = { dispatches: 16, us: 40, floorUs: 20, bytes: 1, flops: 1 };
    const pass = { tokens: 1, context: 512, dispatches: 32, wholeUs: 75, stages: [{ ...stage, stage: 'qkv' }, { ...stage, stage: 'logits', us: 35 }] };
    const report = { adapter, clock: 'host clock', readBytesPerUs: 1, dispatchUs: 1, decode: pass, prefill: pass, encodeUs: 1 };
    const svg = plots({ profile: { command: 'profile', model: 'm', host: 'node', report } }, 'My machine')['stages.svg'] ?? '';
    expect(svg.match(/<rect /g)).toHaveLength(1 + 2 * 2 + 2);
    expect(svg).toContain('My machine');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('leave out what they have no figures for', () => {
    expect(plots({ only: decoding(512, 800) })).toEqual({ 'context.svg': undefined, 'stages.svg': undefined });
  });
});
