/** Colours that the color-blind tell apart (Okabe and Ito), on a white ground. */
const COLOURS: readonly string[] = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';
const WIDTH = 640;
const LEFT = 64;
const RIGHT = 28;
const TOP = 56;
/** From one name in a row of names to the next, so much a character and for the square before it. */
const CHARACTER = 7;
const SQUARE = 26;

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LinePlot {
  readonly title: string;
  /** Under the title: machine and date. */
  readonly subtitle: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
}

/** Lines over a linear x axis, from 0 on both axes. */
export function linePlot({ title, subtitle, x, y, lines }: LinePlot): string {
  const height = 360;
  const bottom = height - 48;
  const points = lines.flatMap((line) => line.points);
  const across = ticks(Math.max(...points.map(([at]) => at)));
  const up = ticks(Math.max(...points.map(([, value]) => value)));
  const toX = (value: number) => LEFT + (value / across.end) * (WIDTH - LEFT - RIGHT);
  const toY = (value: number) => bottom - (value / up.end) * (bottom - TOP - 24);
  const grid = [
    ...across.values.map((value) => `<text x="${round(toX(value))}" y="${bottom + 18}" text-anchor="middle" ${FONT}>${value.toLocaleString('en')}</text>`),
    ...up.values.map((value) => `<path d="M${LEFT} ${round(toY(value))}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 8}" y="${round(toY(value)) + 4}" text-anchor="end" ${FONT}>${value.toLocaleString('en')}</text>`),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${height - 8}" text-anchor="middle" ${FONT}>${escaped(x)}</text>`,
    `<text x="16" y="${TOP + 14}" ${FONT}>${escaped(y)}</text>`,
  ];
  const drawn = lines.map((line, i) => {
    const path = line.points.map(([at, value], n) => `${n === 0 ? 'M' : 'L'}${round(toX(at))} ${round(toY(value))}`).join('');
    const dots = line.points.map(([at, value]) => `<circle cx="${round(toX(at))}" cy="${round(toY(value))}" r="3" fill="${colour(i)}"/>`);
    return `<path d="${path}" fill="none" stroke="${colour(i)}" stroke-width="2"/>${dots.join('')}`;
  });
  return frame(height, title, subtitle, [...grid, ...drawn, names(lines.map(({ name }) => name))]);
}

export interface Bar {
  readonly name: string;
  /** One for each of the plot's series. */
  readonly values: readonly number[];
}

export interface BarPlot {
  readonly title: string;
  readonly subtitle: string;
  readonly x: string;
  readonly series: readonly string[];
  readonly bars: readonly Bar[];
}

/** A row of horizontal bars for each name. */
export function barPlot({ title, subtitle, x, series, bars }: BarPlot): string {
  const thick = 9;
  const row = series.length * thick + 8;
  const left = LEFT + 80;
  const bottom = TOP + 24 + bars.length * row;
  const height = bottom + 48;
  const across = ticks(Math.max(...bars.flatMap(({ values }) => values)));
  const toX = (value: number) => left + (value / across.end) * (WIDTH - left - RIGHT);
  const grid = across.values.map(
    (value) => `<path d="M${round(toX(value))} ${TOP + 20}V${bottom}" stroke="#ddd"/><text x="${round(toX(value))}" y="${bottom + 18}" text-anchor="middle" ${FONT}>${value.toLocaleString('en')}</text>`,
  );
  const drawn = bars.map(({ name, values }, i) => {
    const top = TOP + 24 + i * row;
    const rects = values.map((value, n) => `<rect x="${left}" y="${top + n * thick}" width="${round(toX(value) - left)}" height="${thick - 1}" fill="${colour(n)}"/>`);
    return `<text x="${left - 8}" y="${top + (series.length * thick) / 2 + 4}" text-anchor="end" ${FONT}>${escaped(name)}</text>${rects.join('')}`;
  });
  const label = `<text x="${(left + WIDTH - RIGHT) / 2}" y="${height - 8}" text-anchor="middle" ${FONT}>${escaped(x)}</text>`;
  return frame(height, title, subtitle, [...grid, ...drawn, label, names(series)]);
}

function frame(height: number, title: string, subtitle: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="16" y="22" ${FONT} font-weight="600">${escaped(title)}</text>`,
    `<text x="16" y="40" ${FONT} fill="#555">${escaped(subtitle)}</text>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** Names with their colours, in a row at the top right. */
function names(all: readonly string[]): string {
  let at = WIDTH - RIGHT - all.reduce((sum, name) => sum + name.length * CHARACTER + SQUARE, 0);
  return all
    .map((name, i) => {
      const drawn = `<rect x="${at}" y="${TOP + 4}" width="10" height="10" fill="${colour(i)}"/><text x="${at + 14}" y="${TOP + 13}" ${FONT}>${escaped(name)}</text>`;
      at += name.length * CHARACTER + SQUARE;
      return drawn;
    })
    .join('');
}

/** Round numbers from 0 to the first that is not below `most`. */
function ticks(most: number): { readonly end: number; readonly values: readonly number[] } {
  const raw = Math.max(most, 1e-9) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
  const count = Math.ceil(most / step);
  return { end: count * step, values: Array.from({ length: count + 1 }, (_, i) => i * step) };
}

function colour(i: number): string {
  return COLOURS[i % COLOURS.length] ?? '#000';
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
