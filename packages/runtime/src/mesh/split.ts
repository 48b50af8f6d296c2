import { HOME, type ExpertsPlan } from './plan-types.ts';

/** Who computes which of the experts that a layer step asks for; by name, in the order in which sums are added. */
export type Split = ReadonlyMap<string, ReadonlySet<number>>;

/**
 * Shares a step's experts out among their holders with as few frames as replicas allow: what home holds stays there, and
 * where several peers hold an expert, one that gets a frame anyhow takes it. Experts whose holders cannot be asked are
 * home's. The same for the same arguments, so that a plan's frames can be predicted.
 * @param experts of the step; order and repetition do not matter
 * @param holders of each expert of the layer, best first
 */
export function splitExperts(experts: Iterable<number>, holders: readonly (readonly string[])[], canAsk: (peer: string) => boolean): Split {
  const chosen = [...new Set(experts)].sort((a, b) => a - b);
  const able = new Map(chosen.map((expert) => [expert, (holders[expert] ?? []).filter((holder) => holder === HOME || canAsk(holder))]));
  const split = new Map<string, Set<number>>();
  const give = (holder: string, expert: number) => {
    const taken = split.get(holder) ?? new Set();
    split.set(holder, taken.add(expert));
  };
  const open: number[] = [];
  for (const [expert, names] of able) {
    if (names.length === 0 || names.includes(HOME)) give(HOME, expert);
    else if (names.length === 1) give(names[0] ?? HOME, expert);
    else open.push(expert);
  }
  for (const expert of open) {
    const names = able.get(expert) ?? [];
    give(names.find((name) => split.has(name)) ?? names[0] ?? HOME, expert);
  }
  return new Map([...split].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What goes to each peer directly: its own part, and those of the peers that it relays for while it can be asked. Home's is left out. */
export function throughRelays(split: Split, relays: ExpertsPlan['relays'], canAsk: (peer: string) => boolean): ReadonlyMap<string, { readonly experts: ReadonlySet<number>; readonly relay: boolean }> {
  const parts = new Map<string, { readonly experts: ReadonlySet<number>; readonly relay: boolean }>();
  for (const [holder, experts] of split) {
    if (holder === HOME) continue;
    const relay = relays.get(holder);
    const to = relay !== undefined && canAsk(relay) ? relay : holder;
    const part = parts.get(to);
    parts.set(to, { experts: new Set([...(part?.experts ?? []), ...experts]), relay: (part?.relay ?? false) || to !== holder });
  }
  return parts;
}

/** Request frames that a token sends from its tab whose layers chose so, while all peers can be asked. @param choices of each MoE layer, in order */
export function framesOfToken({ layers, relays }: Pick<ExpertsPlan, 'layers' | 'relays'>, choices: readonly (readonly number[])[]): number {
  const all = () => true;
  return choices.reduce((frames, experts, place) => frames + throughRelays(splitExperts(experts, layers[place]?.holders ?? [], all), relays, all).size, 0);
}
