import { describe, expect, test } from 'vitest';
import { Terminal } from '../src/terminal.ts';

function terminal(isTTY: boolean) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) => ({ write: (text: string) => void (written[name] += text), isTTY });
  return { written, terminal: new Terminal({ stdout: stream('stdout'), stderr: stream('stderr') }) };
}

test.each([false, true])('stdout gets text and results only, the JSON on a line of its own (terminal: %s)', (isTTY) => {
  const { written, terminal: shown } = terminal(isTTY);
  shown.show({ kind: 'progress', message: 'fetch 1 of 2 MB' });
  shown.show({ kind: 'text', text: 'Hel' });
  shown.show({ kind: 'text', text: '' });
  shown.show({ kind: 'warning', message: 'no Range' });
  shown.show({ kind: 'progress', message: 'run 1 of 2' });
  shown.show({ kind: 'text', text: 'lo\n{"not":"it"}' });
  shown.json({ text: 'lo' });
  expect(written.stdout).toBe('Hello\n{"not":"it"}\n{"text":"lo"}\n');
  expect(written.stderr).toContain('warning: no Range\n');
  expect(written.stderr.includes('MB')).toBe(isTTY);
});

test('no empty line where the text ends with one, or where there is none', () => {
  const { written, terminal: shown } = terminal(false);
  shown.json(1);
  shown.text('a\n');
  shown.json(2);
  shown.endLine();
  expect(written.stdout).toBe('1\na\n2\n');
});

describe('JSON', () => {
  test('is one line for whatever takes Unicode line ends for some, and the same value', () => {
    const { written, terminal: shown } = terminal(false);
    const value = { text: 'a\nb\r\u0085\u2028\u2029\u007f\u000b é 😀 \ud800"\\' };
    shown.json(value);
    expect(written.stdout).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(written.stdout)).toEqual(value);
  });
});

test('progress goes away before something else is written', () => {
  const { written, terminal: shown } = terminal(true);
  shown.show({ kind: 'progress', message: 'half' });
  shown.note('done');
  expect(written.stderr).toBe('\r\x1b[2Khalf\r\x1b[2Kdone\n');
});
