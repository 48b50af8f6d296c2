import type { GenerateEvent, GenerateRequest, GenerateResult, ModelService, Session, SessionGenerateOptions, TokenEvent } from '../api/types.ts';

/** A session of a model service. */
export class ModelSession implements Session {
  constructor(
    readonly service: ModelService,
    readonly id: number,
  ) {}

  async *generate(request: GenerateRequest, { signal, onPrefill }: SessionGenerateOptions = {}): AsyncGenerator<TokenEvent, GenerateResult, void> {
    let tokens: TokenEvent[] = [];
    let ended = false;
    let wake = () => {};
    const deliver = (events: readonly GenerateEvent[]) => {
      for (const event of events) {
        if ('token' in event) tokens.push(event.token);
        else onPrefill?.(event.prefill);
      }
      wake();
    };
    const result = this.service.generate(this.id, request, deliver).finally(() => {
      ended = true;
      wake();
    });
    // Awaited at the end.
    result.catch(() => {});
    const abort = () => void this.service.abort(this.id).catch(() => {});
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      for (;;) {
        const arrived = tokens;
        tokens = [];
        yield* arrived;
        if (tokens.length > 0) continue;
        if (ended) return await result;
        await new Promise<void>((go) => (wake = go));
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      // The loop was left early: the session is free again when this returns.
      if (!ended) {
        abort();
        await result.catch(() => {});
      }
    }
  }

  dispose(): Promise<void> {
    return this.service.disposeSession(this.id);
  }
}
