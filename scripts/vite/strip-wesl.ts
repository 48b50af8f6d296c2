import { readFile } from 'node:fs/promises';
import type { Plugin } from 'vite';

const SUFFIX = '.wesl?raw';

/** In production builds, loads `*.wesl?raw` without comments and needless white space: contracts are for readers. */
export function stripWesl(): Plugin {
  return {
    name: 'strip-wesl',
    apply: 'build',
    enforce: 'pre',
    async load(id) {
      if (!id.endsWith(SUFFIX)) return null;
      const source = await readFile(id.slice(0, -'?raw'.length), 'utf8');
      return { code: `export default ${JSON.stringify(minifyWesl(source))}`, moduleType: 'js' };
    },
  };
}

/** WGSL or WESL text without comments, indentation, and line ends and spaces beside punctuation that parts tokens itself. */
export function minifyWesl(source: string): string {
  return withoutComments(source)
    .replace(/[ \t\r]+/g, ' ')
    .replace(/ ?\n\s*/g, '\n')
    .replace(/ ?([{}()[\];:,]) ?/g, '$1')
    // Between operands only: `a - -b` must not become `a--b`.
    .replace(/([\w)\]]) ([-+*/%<>=!&|^]+) (?=[\w(])/g, '$1$2')
    .replace(/\n?([;{},])\n/g, '$1')
    .trim();
}

/** A block comment becomes a space. Block comments nest in WGSL; there are no string literals to mind. */
function withoutComments(source: string): string {
  let kept = '';
  let depth = 0;
  for (let i = 0; i < source.length; ) {
    const pair = source.slice(i, i + 2);
    if (pair === '/*') {
      depth++;
      i += 2;
    } else if (depth > 0 && pair === '*/') {
      depth--;
      i += 2;
      kept += ' ';
    } else if (depth > 0) {
      i++;
    } else if (pair === '//') {
      const end = source.indexOf('\n', i);
      i = end < 0 ? source.length : end;
    } else {
      kept += pair.charAt(0);
      i++;
    }
  }
  return kept;
}
