import { readdir, readFile } from 'node:fs/promises';
import type { Plugin } from 'vite';

const SUFFIX = '.wesl?raw';
/** Modules whose names stand for what only some compilers have built in. */
const FIXED_NAMES = '/wgsl/matrix/';

/** In production builds, loads `*.wesl?raw` without comments and needless white space: contracts are for readers. */
export function stripWesl(): Plugin {
  return {
    name: 'strip-wesl',
    apply: 'build',
    enforce: 'pre',
    async load(id) {
      if (!id.endsWith(SUFFIX)) return null;
      const path = id.slice(0, -'?raw'.length);
      const source = await readFile(path, 'utf8');
      const others = path.includes(FIXED_NAMES) ? undefined : await tokensOfOthers(path);
      return { code: `export default ${JSON.stringify(minifyWesl(source, others))}`, moduleType: 'js' };
    },
  };
}

/** Names that occur in the modules beside this one, whose folder is `wgsl`: those that TypeScript writes (`.wesl.ts`) as well. */
async function tokensOfOthers(path: string): Promise<ReadonlySet<string>> {
  const root = path.slice(0, path.lastIndexOf('/wgsl/') + '/wgsl/'.length);
  const names = await readdir(root, { recursive: true });
  const others = names.filter((name) => /\.wesl(\.ts)?$/.test(name) && root + name !== path);
  const texts = await Promise.all(others.map((name) => readFile(root + name, 'utf8')));
  return new Set(texts.flatMap((text) => withoutComments(text).match(/\w+/g) ?? []));
}

/**
 * WGSL or WESL text without comments, indentation, and line ends and spaces beside punctuation that parts tokens itself. Names
 * that a function keeps to itself are short, and those of the module that are not among `others`.
 */
export function minifyWesl(source: string, others?: ReadonlySet<string>): string {
  const bare = withoutComments(source);
  return withShortLocals(others ? withShortPrivates(bare, others) : bare)
    .replace(/[ \t\r]+/g, ' ')
    .replace(/ ?\n\s*/g, '\n')
    // Between operands only: `a - -b` must not become `a--b`.
    .replace(/([\w)\]]) ([-+*/%<>=!&|^]+) (?=[\w(!])/g, '$1$2')
    .replace(/ ?([{}()[\];:,]) ?/g, '$1')
    .replace(/(var<[\w,]+>) /g, '$1')
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

/** What a module declares for itself or for others; constants that the host sets (`override`) are no such names. */
const DECLARED = /^(?:@if\([^\n]*\)\s*)?(?:@group\(\d+\)\s*@binding\(\d+\)\s*)?(?:fn|var<[^>]*>|struct|const|alias)\s+(\w+)/gm;

/** Functions, variables, types and constants that no other module knows, renamed. */
function withShortPrivates(source: string, others: ReadonlySet<string>): string {
  const declared = new Set(Array.from(source.matchAll(DECLARED), ([, name = '']) => name));
  const names = shortNames(new Set([...others, ...(source.match(/\w+/g) ?? [])]));
  const privates = [...declared].filter((name) => name !== 'main' && !others.has(name));
  const renamed = new Map(privates.map((name, i) => [name, names(i)]));
  return source.replace(/\.?\b[a-z]\w*/gi, (token) => renamed.get(token) ?? token);
}

/** A function from its parameters to its last brace: no brace of a kernel's own lies in column 0 but that one. */
const FUNCTION = /^fn \w+\([\s\S]*?^\}/gm;
/** What a function declares: `let`, `var` and `const`, and parameters. */
const LOCAL = /\b(?:let|var|const)\s+([a-z]\w*)(?=\s*[:=])|[(,]\s*(?:@\w+\(\w+\)\s*)?([a-z]\w*)(?=\s*:)/g;
/** Words of WGSL and WESL as short as the names made here. */
const RESERVED: ReadonlySet<string> = new Set(['as', 'do', 'fn', 'if', 'of']);

/** Each function's parameters and variables renamed to what no other name of the file is: nobody else sees them. */
function withShortLocals(source: string): string {
  const taken = new Set(source.match(/\w+/g));
  const names = shortNames(taken);
  return source.replace(FUNCTION, (text) => {
    const locals = new Set(Array.from(text.matchAll(LOCAL), ([, variable, parameter = '']) => variable ?? parameter));
    const renamed = new Map([...locals].map((name, i) => [name, names(i)]));
    // Members of structs and vectors come after a point, and built-in values within their attribute.
    return text.replace(/@\w+\(\w+\)|\.?\s*\b[a-z]\w*/gi, (token) => renamed.get(token) ?? token.replace(/^(\s+)(\w+)$/, (_, space: string, name: string) => space + (renamed.get(name) ?? name)));
  });
}

/** The i-th of a, b, … z, aa, … that is not taken. */
function shortNames(taken: ReadonlySet<string>): (i: number) => string {
  const found: string[] = [];
  let next = 0;
  return (i) => {
    while (found.length <= i) {
      const name = next < 26 ? letter(next) : letter(Math.floor(next / 26) - 1) + letter(next % 26);
      if (!taken.has(name) && !RESERVED.has(name)) found.push(name);
      next++;
    }
    return found[i] ?? '';
  };
}

function letter(i: number): string {
  return String.fromCharCode(97 + i);
}
