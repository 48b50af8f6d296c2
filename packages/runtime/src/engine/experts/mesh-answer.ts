import type { GenerateRequest } from '../../api/types.ts';
import { RevisionError, type AnswerLedger } from '../../mesh/answer-ledger.ts';
import type { MeshCounts } from '../../mesh/mesh-counts.ts';
import type { ForwardPlan } from '../forward.ts';
import type { GenerateOutcome, IdEvent, IdHandlers, Session } from '../session.ts';

/** A runner whose answers may have to go back. */
export interface MeshRunner {
  /** Passes of this session are an answer's until it has ended: what is counted and has to be taken back goes to the ledger. */
  begin(plan: ForwardPlan): AnswerLedger;
  end(plan: ForwardPlan, ledger: AnswerLedger): void;
  /** Waits until all results that were drawn have been checked. */
  settled(): Promise<void>;
}

export interface MeshAnswerHandlers extends IdHandlers {
  /** Tokens that were given out, from this one of the answer on, are void: a peer that computed for them was found out. Others follow. */
  readonly onRevise?: (index: number) => void;
}

export interface MeshOutcome extends GenerateOutcome {
  readonly mesh: MeshCounts;
}

/**
 * As `Session.generate`, with what a room adds: where a peer is banned, the session goes back to before what rests on that peer alone
 * and runs from there. Tokens that come out the same are not given out twice. The answer ends when all results that were
 * drawn for it have been checked.
 */
export async function generateInMesh(mesh: MeshRunner, session: Session, request: GenerateRequest, handlers: MeshAnswerHandlers, signal?: AbortSignal): Promise<MeshOutcome> {
  const { promptIds, maxTokens } = request;
  const ledger = mesh.begin(session.plan);
  const ids: number[] = [];
  const told: number[] = [];
  let first: GenerateOutcome | undefined;
  const onToken = (event: IdEvent): void => {
    const index = ids.push(event.id) - 1;
    if (told[index] === event.id) return;
    if (told.length > index) handlers.onRevise?.(index);
    told.length = index;
    told.push(event.id);
    handlers.onToken?.(event);
  };
  try {
    for (;;) {
      try {
        const from = { ...request, promptIds: [...promptIds, ...ids], ...(maxTokens === undefined ? {} : { maxTokens: maxTokens - ids.length }) };
        const outcome = await session.generate(from, { onToken, ...(first || !handlers.onPrefill ? {} : { onPrefill: handlers.onPrefill }) }, signal);
        const { prefillMs, reusedTokens } = (first ??= outcome);
        if (outcome.finishReason !== 'aborted') await mesh.settled();
        ledger.check();
        if (told.length > ids.length) handlers.onRevise?.(ids.length);
        return { ...outcome, prefillMs, reusedTokens, ids, mesh: ledger.counts };
      } catch (error) {
        if (!(error instanceof RevisionError)) throw error;
        session.forget(error.position);
        // A pass over a position chooses the token after it.
        ids.length = Math.max(0, Math.min(ids.length, error.position + 1 - promptIds.length));
      }
    }
  } finally {
    mesh.end(session.plan, ledger);
  }
}
