import { describe, expect, test } from 'vitest';
import { count, defined, number, parseCommand, promptInput, requiredText, USAGE, UsageError } from '../src/args.ts';

const refusal = (run: () => unknown): unknown => {
  try {
    return { returned: run() };
  } catch (error) {
    return error instanceof UsageError ? error.message : error;
  }
};

describe('commands', () => {
  test('and all options of the contract', () => {
    const generate = '--model m --prompt hi --max-tokens 5 --temperature 0.5 --top-k 3 --top-p 0.9 --min-p 0.1 --repeat-penalty 1.1 --seed 7 --json --host node';
    expect(parseCommand(['generate', ...generate.split(' ')])).toEqual({
      command: 'generate',
      options: {
        model: 'm',
        prompt: 'hi',
        'max-tokens': '5',
        temperature: '0.5',
        'top-k': '3',
        'top-p': '0.9',
        'min-p': '0.1',
        'repeat-penalty': '1.1',
        seed: '7',
        json: true,
        host: 'node',
      },
    });
    expect(parseCommand(['eval', '--model=m', '--ids=1,2', '--out=f']).options).toEqual({ model: 'm', ids: '1,2', out: 'f' });
    expect(parseCommand('bench --model m --prompt-tokens 4 --gen-tokens 5 --runs 6 --json'.split(' ')).command).toBe('bench');
    expect(parseCommand(['doctor', '--json'])).toEqual({ command: 'doctor', options: { json: true } });
  });

  test.each([[[]], [['help']], [['--help']], [['-h']], [['generate', '--help']], [['eval', '-h']]])('%j asks for help', (argv) => {
    expect(parseCommand(argv).command).toBe('help');
  });

  test('help names every command and option of the contract', () => {
    for (const word of ['generate', 'eval', 'bench', 'doctor', '--model', '--prompt', '--ids', '--chat', '--max-tokens', '--temperature', '--top-k', '--top-p', '--min-p', '--repeat-penalty', '--seed', '--json', '--out', '--prompt-tokens', '--gen-tokens', '--runs', '--host', 'CHROME_PATH', 'CHROME_ARGS']) {
      expect(USAGE).toContain(word);
    }
  });

  test.each([
    [['train'], /no command "train"; there are generate, eval, bench, doctor/],
    [['toString'], /no command "toString"/],
    [['generate', '--modle', 'm'], /--modle/],
    [['generate', 'm.gguf'], /m\.gguf/],
    [['generate', '--model'], /--model/],
    [['doctor', '--model', 'm'], /--model/],
    [['generate', '--json=yes'], /--json/],
  ])('%j is refused', (argv, message) => {
    expect(refusal(() => parseCommand(argv))).toMatch(message);
  });
});

test('numbers', () => {
  const options = { a: '0.5', b: '-3', c: 'x', d: '', e: '1e3', f: 'Infinity', g: '9007199254740993', h: true };
  expect(number(options, 'a')).toBe(0.5);
  expect(number(options, 'b')).toBe(-3);
  expect(number(options, 'e')).toBe(1000);
  expect(number(options, 'none')).toBeUndefined();
  expect(number(options, 'h')).toBeUndefined();
  for (const name of ['c', 'd', 'f']) expect(refusal(() => number(options, name))).toMatch(new RegExp(`^--${name} is .*, but must be a number`));
  expect(count(options, 'e')).toBe(1000);
  expect(count(options, 'none')).toBeUndefined();
  expect(refusal(() => count(options, 'a'))).toMatch(/whole number of at least 0/);
  expect(refusal(() => count(options, 'b'))).toMatch(/whole number/);
  expect(refusal(() => count(options, 'g'))).toBe('--g is 9007199254740993, but must be a whole number of at least 0.');
  expect(refusal(() => count({ n: '0' }, 'n', 1))).toMatch(/at least 1/);
});

test('required texts', () => {
  expect(requiredText({ out: 'f' }, 'out')).toBe('f');
  for (const options of [{}, { out: '' }, { out: true }]) expect(refusal(() => requiredText(options, 'out'))).toBe('--out is missing.');
});

describe('the prompt', () => {
  test('is a text, a chat, or ids', () => {
    expect(promptInput({ prompt: 'a, b' })).toEqual({ kind: 'prompt', text: 'a, b' });
    expect(promptInput({ prompt: '' })).toEqual({ kind: 'prompt', text: '' });
    expect(promptInput({ chat: 'hi' })).toEqual({ kind: 'chat', text: 'hi' });
    expect(promptInput({ ids: '1,2, 30 ' })).toEqual({ kind: 'ids', ids: [1, 2, 30] });
    expect(promptInput({ ids: '0' })).toEqual({ kind: 'ids', ids: [0] });
  });

  test.each(['', '1,', ',1', '1,,2', '-1', '1.5', '0x1', '1e2', 'a', '1;2', '99999999999999999999'])('ids "%s" are refused', (ids) => {
    expect(refusal(() => promptInput({ ids }))).toMatch(/^--ids is .*like 1,2,3/);
  });

  test.each([[{}], [{ prompt: 'a', ids: '1' }], [{ chat: 'a', prompt: 'b' }]])('%j is not one', (options) => {
    expect(refusal(() => promptInput(options))).toMatch(/exactly one/);
  });
});

test('what was not given is left out', () => {
  expect(defined({ a: 1, b: undefined, c: 0 })).toEqual({ a: 1, c: 0 });
  expect(Object.keys(defined({ b: undefined }))).toEqual([]);
});
