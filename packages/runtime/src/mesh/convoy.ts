import type { AnswerLedger } from './answer-ledger.ts';
import { concatWork, type ExpertWork } from './expert-work.ts';
import type { StepOf } from './expert-exchange.ts';

/** So many conversations are worth a frame of their own: with more, some compute at home while others' frames fly. */
const ENOUGH = 4;

type Sums = Float32Array<ArrayBuffer>;

interface Waiting {
  readonly work: ExpertWork;
  readonly of: StepOf;
  readonly resolve: (sums: Promise<Sums>) => void;
}

/**
 * Conversations that decode at the same time share their exchanges: a layer step's frames leave when half of them (and
 * at least four) have come to it, or when all have that are not under way. Then those at the deepest layer go, so that
 * all are soon at the same one, whoever comes and goes. Two halves take turns: home computes for one while the other's
 * frames fly.
 */
export class Convoy {
  /** Answers that decode: those that have come to a step wait in it; the frames of some are under way. */
  readonly #members = new Map<AnswerLedger, Waiting | 'home' | 'away'>();

  /** @param send exchanges one layer's steps, and returns the sums of all their tokens, [tokens, d] */
  constructor(readonly send: (work: ExpertWork, steps: readonly StepOf[]) => Promise<Sums>) {}

  /** From its first step on others wait for the answer, until it leaves. @returns the sums of the work's tokens */
  async step(work: ExpertWork, of: StepOf): Promise<Sums> {
    return new Promise<Sums>((resolve) => {
      this.#members.set(of.answer, { work, of, resolve });
      this.#go();
    });
  }

  leave(answer: AnswerLedger): void {
    this.#members.delete(answer);
    this.#go();
  }

  #go(): void {
    const members = [...this.#members.values()];
    const waiting = members.filter((member) => typeof member !== 'string');
    const layers = [...new Set(waiting.map(({ work }) => work.layer))].sort((one, other) => other - one);
    const groups = layers.map((layer) => waiting.filter(({ work }) => work.layer === layer));
    const least = members.includes('home') ? Math.max(ENOUGH, members.length / 2) : 1;
    const group = groups.find(({ length }) => length >= least);
    if (!group) return;
    void this.#exchange(group);
  }

  async #exchange(group: readonly Waiting[]): Promise<void> {
    for (const { of } of group) this.#members.set(of.answer, 'away');
    const width = (group[0]?.work.x.length ?? 0) / (group[0]?.work.tokens ?? 1);
    const sums = this.send(concatWork(group.map(({ work }) => work)), group.map(({ of }) => of));
    let row = 0;
    for (const { work, resolve } of group) {
      const [from, to] = [row * width, (row + work.tokens) * width];
      resolve(sums.then((whole) => whole.slice(from, to)));
      row += work.tokens;
    }
    await sums.catch(() => {});
    for (const { of } of group) if (this.#members.get(of.answer) === 'away') this.#members.set(of.answer, 'home');
  }
}
