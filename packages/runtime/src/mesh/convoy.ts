import type { AnswerLedger } from './answer-ledger.ts';
import { concatWork, type ExpertWork } from './expert-work.ts';
import type { StepOf } from './expert-exchange.ts';

type Sums = Float32Array<ArrayBuffer>;

interface Waiting {
  readonly work: ExpertWork;
  readonly of: StepOf;
  readonly resolve: (sums: Promise<Sums>) => void;
}

/**
 * Conversations that decode at the same time share their exchanges: a layer step's frames leave when each of them has come
 * to a step. Those at the deepest layer go first, so that all are soon at the same one, whoever comes and goes.
 */
export class Convoy {
  /** Answers that decode; those that have come to a step wait in it. */
  readonly #members = new Map<AnswerLedger, Waiting | undefined>();

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
    const all = [...this.#members.values()];
    const waiting = all.filter((member) => member !== undefined);
    if (waiting.length === 0 || waiting.length < all.length) return;
    const deepest = Math.max(...waiting.map(({ work }) => work.layer));
    const group = waiting.filter(({ work }) => work.layer === deepest);
    for (const { of } of group) this.#members.set(of.answer, undefined);
    const width = (group[0]?.work.x.length ?? 0) / (group[0]?.work.tokens ?? 1);
    const sums = this.send(concatWork(group.map(({ work }) => work)), group.map(({ of }) => of));
    let row = 0;
    for (const { work, resolve } of group) {
      const [from, to] = [row * width, (row + work.tokens) * width];
      resolve(sums.then((whole) => whole.slice(from, to)));
      row += work.tokens;
    }
  }
}
