import { DisposedError, SessionBusyError } from '../../src/engine/errors.ts';
import type { Deliver, GenerateEvent, GenerateRequest, GenerateResult, MemoryUse, ModelInfo, ModelService, TokenEvent } from '../../src/api/types.ts';

/** Ids that the fake's own tokeniser gives: one for each UTF-16 unit. */
export const ids = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));

export const INFO = { modelId: 'fake', eosIds: [0], spec: { name: 'fake-moe' } } as unknown as ModelInfo;

const STATS = { prefillMs: 1, decodeMs: 1, prefillTps: 1, decodeTps: 1, dispatchesPerToken: 1, submitsPerToken: 1, readbacksPerToken: 1, bytesFetched: 0, shardsFetched: 0, shardsTotal: 0, expertHits: 0, expertMisses: 0, expertBytes: 0, gpuBytes: 0 };

interface FakeSession {
  past: readonly number[];
  running: boolean;
  aborted: boolean;
}

/**
 * A model service that answers with the given pieces of text, one a token, and waits for `step` where it is set.
 * Its template is `role:content|` for each message.
 */
export class FakeService implements ModelService {
  readonly sessions = new Map<number, FakeSession>();
  readonly requests: GenerateRequest[] = [];
  /** Awaited before each token. */
  step: () => Promise<void> = async () => {};
  failure: Error | undefined;
  disposed = false;
  #nextSession = 1;

  /** @param answer text of each token; '' is a part of a character that a later token completes */
  constructor(
    readonly answer: readonly string[],
    readonly textEnd = '',
  ) {}

  async info(): Promise<ModelInfo> {
    return INFO;
  }

  async tokenize(text: string): Promise<number[]> {
    return ids(text);
  }

  async detokenize(list: readonly number[]): Promise<string> {
    return String.fromCharCode(...list);
  }

  async tokenTexts(list: readonly number[]): Promise<string[]> {
    return list.map((id) => this.answer[id - 1000] ?? `<${id}>`);
  }

  async applyChatTemplate(messages: readonly { readonly role: string; readonly content: string }[]): Promise<string> {
    return messages.map(({ role, content }) => `${role}:${content}|`).join('');
  }

  async createSession(): Promise<number> {
    const id = this.#nextSession++;
    this.sessions.set(id, { past: [], running: false, aborted: false });
    return id;
  }

  async disposeSession(id: number): Promise<void> {
    this.sessions.delete(id);
  }

  async generate(id: number, request: GenerateRequest, deliver: Deliver<GenerateEvent>): Promise<GenerateResult> {
    const session = this.sessions.get(id);
    if (!session) throw new DisposedError('session');
    if (session.running) throw new SessionBusyError();
    session.running = true;
    session.aborted = false;
    this.requests.push(request);
    try {
      const { promptIds, maxTokens = Infinity, topLogprobs } = request;
      let reusedTokens = 0;
      while (reusedTokens < promptIds.length - 1 && promptIds[reusedTokens] === session.past[reusedTokens]) reusedTokens++;
      await deliver([{ prefill: { tokens: promptIds.length, tokensTotal: promptIds.length } }]);
      const given: number[] = [];
      const result = (finishReason: GenerateResult['finishReason']): GenerateResult => {
        session.past = [...promptIds, ...given];
        return { ids: given, finishReason, textEnd: this.textEnd, stats: { ...STATS, promptTokens: promptIds.length, reusedTokens, generatedTokens: given.length } };
      };
      for (const [place, text] of this.answer.entries()) {
        if (given.length === maxTokens) return result('length');
        await this.step();
        if (this.failure) throw this.failure;
        if (session.aborted) return result('aborted');
        given.push(1000 + place);
        const token: TokenEvent = {
          id: 1000 + place,
          text,
          position: promptIds.length + place,
          experts: [],
          logprob: -(place + 1) / 8,
          ...(topLogprobs ? { topLogprobs: Array.from({ length: topLogprobs }, (_, rank) => ({ id: 1000 + place + rank, logprob: -rank - 0.5 })) } : {}),
        };
        await deliver([{ token }]);
      }
      return result('stop');
    } finally {
      session.running = false;
    }
  }

  async abort(id: number): Promise<void> {
    const session = this.sessions.get(id);
    if (session) session.aborted = true;
  }

  async evaluate(): Promise<Record<string, never>> {
    return {};
  }

  async memory(): Promise<MemoryUse> {
    return { gpuBytes: 0, gpuBuffers: 0, weightBytes: 0, expertBytes: 0, hostBytes: 0, kvBytes: 0 };
  }

  async pinExperts(): Promise<void> {}

  async expertPlaces(): Promise<never[]> {
    return [];
  }

  async download(): Promise<void> {}

  async stopDownload(): Promise<void> {}

  async attachRoom(): Promise<void> {}

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}

/** A `step` that lets tokens through one by one. */
export function gate(): { readonly step: () => Promise<void>; readonly open: () => void; readonly waiting: () => number } {
  const held: (() => void)[] = [];
  let isOpen = false;
  return {
    step: () => (isOpen ? Promise.resolve() : new Promise((go) => held.push(go))),
    open: () => {
      isOpen = true;
      for (const go of held.splice(0)) go();
    },
    waiting: () => held.length,
  };
}
