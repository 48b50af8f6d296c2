import { openInNode } from '../../packages/runtime/src/node.ts';
import { openAnyDawn } from '../../packages/cli/src/hosts/node.ts';
import { Prefetch } from '../../packages/runtime/src/engine/experts/prefetch.ts';
import type { RouterTrace } from '../../packages/runtime/src/model/router-trace.ts';
import { defaultModel } from '../src/shipped-models.ts';

const PROMPTS = ['Once upon a time', 'User: Tell me a story about a dog.\nAssistant:'];
const TOKENS = 150;

/** What each layer of a token chose, and what was foretold of it. */
interface Token {
  readonly chosen: (readonly number[])[];
  readonly foretold: (readonly number[])[];
}

/** Prefetch that never rests and writes down what goes by. */
class Recording extends Prefetch {
  readonly tokens: Token[] = [];
  #token: Token = { chosen: [], foretold: [] };
  #foretold: readonly number[] = [];

  constructor(
    residency: Prefetch['residency'],
    readonly first: number,
    readonly layers: number,
  ) {
    super(residency, () => 0);
  }

  override start(layer: number, foretold: readonly number[]): void {
    this.#foretold = foretold;
    super.start(layer, foretold);
  }

  override settle(layer: number, chosen: readonly number[]): Promise<boolean> {
    if (layer === this.first) this.#token = { chosen: [], foretold: [] };
    this.#token.chosen.push(chosen);
    this.#token.foretold.push(this.#foretold);
    this.#foretold = [];
    // Nothing is foretold of a prompt.
    if (this.#token.foretold.slice(1).every(({ length }) => length > 0) && this.#token.chosen.length === this.layers) this.tokens.push(this.#token);
    return super.settle(layer, chosen);
  }
}

/** Two stories by the demo's model, with as few slots as it can have, so that the host looks on at every layer. */
export async function recordTrace(): Promise<RouterTrace> {
  const { gpu, release } = await openAnyDawn();
  try {
    const service = await openInNode(defaultModel(), { contextLength: 256, gpuBudget: '12.5%', hostBudget: '100%' }, gpu);
    const { spec, context } = service.model;
    const layers = spec.layers.flatMap(({ ffn, index }) => (ffn.kind === 'moe' ? [{ index, experts: ffn.experts }] : []));
    if (!context.paged) throw new Error('the model is resident');
    const recording = new Recording(context.paged.residency, layers[0]?.index ?? 0, layers.length);
    Object.assign(context.paged, { prefetch: recording });
    for (const prompt of PROMPTS) {
      const session = await service.createSession();
      const promptIds = await service.tokenize(prompt);
      await service.generate(session, { promptIds, maxTokens: TOKENS, sampling: { temperature: 0.7, seed: 1 } }, async () => {});
      await service.disposeSession(session);
    }
    await service.dispose();
    return { experts: layers.map(({ experts }) => experts), tokens: recording.tokens.map(({ chosen }) => chosen), foretold: recording.tokens.map(({ foretold }) => foretold) };
  } finally {
    release();
  }
}
