import type { MeshPeerInfo, MeshState } from '@gatefold/runtime';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 320;
const HEIGHT = 240;
/** Of one peer's grid of experts. */
const GRID = { width: 64, height: 36 } as const;
/** As the plan names the tab itself. */
const HOME = 'home';

/** The room as a picture: this tab in the middle, the others around it, what each holds, and what is on the way. */
export class RoomPicture {
  /** Bytes to and from each peer when it was drawn last. */
  #before = new Map<string, number>();

  constructor(readonly target: SVGSVGElement) {
    target.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  }

  clear(): void {
    this.#before = new Map();
    this.target.replaceChildren();
  }

  show(peers: readonly MeshPeerInfo[], { holders, traffic }: MeshState): void {
    const bytes = new Map(traffic.map(({ peer, bytesSent, bytesReceived }) => [peer, bytesSent + bytesReceived]));
    const moved = (peer: string) => (bytes.get(peer) ?? 0) - (this.#before.get(peer) ?? 0);
    const most = Math.max(1, ...peers.map(({ peer }) => moved(peer)));
    const [x, y] = [WIDTH / 2, HEIGHT / 2];
    const parts: SVGElement[] = [];
    for (const [i, { peer }] of peers.entries()) {
      const [px, py] = place(i, peers.length);
      parts.push(shape('line', { x1: x, y1: y, x2: px, y2: py, class: moved(peer) > 0 ? 'way busy' : 'way', 'stroke-width': 1 + (5 * Math.max(0, moved(peer))) / most }));
    }
    parts.push(...grid(x, y, 'this tab', holders, HOME));
    for (const [i, { peer, name, roundTripMs }] of peers.entries()) {
      const [px, py] = place(i, peers.length);
      parts.push(...grid(px, py, `${name || peer.slice(0, 6)}${roundTripMs === undefined ? '' : ` · ${roundTripMs.toFixed(0)} ms`}`, holders, peer));
    }
    this.target.replaceChildren(...parts);
    this.target.setAttribute('aria-label', `This tab and ${peers.length} others; bright cells are the experts that each holds, by layer and expert.`);
    this.#before = bytes;
  }
}

/** Around the middle, beginning above it. */
function place(i: number, count: number): readonly [number, number] {
  const angle = (2 * Math.PI * i) / count - Math.PI / 2;
  return [WIDTH / 2 + Math.cos(angle) * (WIDTH / 2 - GRID.width / 2 - 4), HEIGHT / 2 + Math.sin(angle) * (HEIGHT / 2 - GRID.height / 2 - 10)];
}

/** Rows are layers, columns are experts; bright where this peer is the first to be asked, pale where it has a second copy. */
function grid(x: number, y: number, label: string, holders: MeshState['holders'], peer: string): SVGElement[] {
  const columns = Math.max(1, ...holders.map((experts) => experts.length));
  const [width, height] = [GRID.width / columns, GRID.height / Math.max(1, holders.length)];
  const [left, top] = [x - GRID.width / 2, y - GRID.height / 2];
  const cells = (wanted: (peers: readonly string[]) => boolean) =>
    holders.flatMap((experts, layer) => experts.flatMap((peers, expert) => (wanted(peers) ? [`M${left + expert * width} ${top + layer * height}h${width}v${height}h${-width}z`] : []))).join('');
  const text = shape('text', { x, y: top + GRID.height + 11 });
  text.textContent = label;
  return [
    shape('rect', { x: left, y: top, width: GRID.width, height: GRID.height, rx: 3, class: 'peer' }),
    shape('path', { d: cells((peers) => peers[0] === peer || (peer === HOME && peers.length === 0)), class: 'first' }),
    shape('path', { d: cells((peers) => peers.indexOf(peer) > 0), class: 'copy' }),
    text,
  ];
}

function shape(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
