import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGguf } from '../../src/model/gguf/read.ts';
import type { GgufValue } from '../../src/model/gguf/types.ts';
import { createTokenizer, type Tokenizer } from '../../src/model/tokenizer/tokenizer.ts';
import { fixtures } from '../fixtures/fixtures.ts';
import { MemorySource } from '../gguf/memory-source.ts';

const IN_REPO = join(import.meta.dirname, '../fixtures/tokenizers');
const REAL = join(import.meta.dirname, '../../../../../shared/tokenizers');

export type Metadata = ReadonlyMap<string, GgufValue>;

interface Vector {
  readonly text: string;
  readonly ids: readonly number[];
  readonly decoded?: string;
}

/** A tokeniser, and what it should do. */
export interface VectorSet {
  readonly name: string;
  readonly metadata: () => Promise<Metadata>;
  readonly vectors: () => readonly Vector[];
}

/** Small tokenisers of every kind that this checkout can reach; those in the repository always. */
export function smallTokenizers(): VectorSet[] {
  const vocabularies = new Map<string, { readonly gguf: string; readonly json: string }>();
  for (const { folder } of fixtures()) {
    const { tokenizer } = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as { tokenizer: string };
    vocabularies.set(tokenizer, { gguf: join(folder, 'model.gguf'), json: join(folder, '../tokenizers', tokenizer) });
  }
  for (const file of readdirSync(IN_REPO).filter((name) => name.endsWith('.gguf'))) {
    const json = file.replace('.gguf', '.json');
    vocabularies.set(json, { gguf: join(IN_REPO, file), json: join(IN_REPO, json) });
  }
  return Array.from(vocabularies, ([name, { gguf, json }]) => ({
    name: name.replace('.json', ''),
    metadata: () => ggufMetadata(gguf),
    vectors: () => (JSON.parse(readFileSync(json, 'utf8')) as { vectors: Vector[] }).vectors,
  }));
}

/** One of `smallTokenizers`, by its `tokenizer.ggml.pre` (SentencePiece's: `spm`), with changes to its metadata. */
export async function smallTokenizer(pre: string, changes: Readonly<Record<string, GgufValue>> = {}): Promise<Tokenizer> {
  return tokenizerOf(await smallMetadata(pre, changes));
}

export async function smallMetadata(pre: string, changes: Readonly<Record<string, GgufValue>> = {}): Promise<Metadata> {
  const set = smallTokenizers().find(({ name }) => name === `${pre}-512`);
  if (!set) throw new Error(`no tokeniser ${pre}`);
  return new Map([...(await set.metadata()), ...Object.entries(changes)]);
}

/** Throws where there is no tokeniser or a warning. */
export async function tokenizerOf(metadata: Metadata): Promise<Tokenizer> {
  const fail = (what: string): never => {
    throw new Error(what);
  };
  return (await createTokenizer(metadata, ({ message }) => fail(message))) ?? fail('no tokeniser');
}

/** Tokenisers of published models, where they lie beside the checkout. */
export function realTokenizers(): VectorSet[] {
  if (!existsSync(REAL)) return [];
  const set = (folder: string, vocabulary: string, texts: string, metadata: (file: string) => Promise<Metadata>): VectorSet => ({
    name: folder,
    metadata: () => metadata(join(REAL, folder, vocabulary)),
    vectors: () => [...llamaCppVectors(join(REAL, folder, texts)), ...transformersVectors(join(REAL, folder, 'transformersjs_vectors.json'))],
  });
  return [
    set('gpt-2', 'ggml-vocab-gpt-2.gguf', 'ggml-vocab-gpt-2.gguf', ggufMetadata),
    set('llama-spm', 'ggml-vocab-llama-spm.gguf', 'ggml-vocab-llama-spm.gguf', ggufMetadata),
    set('olmoe-gpt-neox', 'gpt-neox-olmo-dolma-v1_5.tokenizer.json', 'ggml-vocab-mpt.gguf', (file) => jsonMetadata(file, 'olmo')),
    set('qwen2', 'qwen2.tokenizer.json', 'ggml-vocab-qwen2.gguf', (file) => jsonMetadata(file, 'qwen2')),
  ];
}

async function ggufMetadata(file: string): Promise<Metadata> {
  return (await readGguf(new MemorySource(file, new Uint8Array(readFileSync(file))))).metadata;
}

interface TokenizerJson {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly string[] };
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
}

/** What a conversion of a tokenizer.json to GGUF writes. */
async function jsonMetadata(file: string, pre: string): Promise<Metadata> {
  const { model, added_tokens: added } = JSON.parse(readFileSync(file, 'utf8')) as TokenizerJson;
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (const { id, content } of added) tokens[id] = content;
  const kinds = new Int32Array(tokens.length).fill(1);
  for (const { id, special } of added) kinds[id] = special ? 3 : 4;
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', pre],
    ['tokenizer.ggml.tokens', Array.from(tokens, (token, id) => token ?? `[PAD${id}]`)],
    ['tokenizer.ggml.token_type', kinds],
    ['tokenizer.ggml.merges', model.merges],
  ]);
}

/** Pairs of files: texts with a separator between them, and a line of ids for each. */
function llamaCppVectors(file: string): Vector[] {
  const texts = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
  const lines = readFileSync(`${file}.out`, 'utf8').split('\n');
  const last = texts.length - 1;
  return texts.map((text, at) => ({
    text: at === last ? text.replace(/\n$/, '') : text,
    ids: (lines[at]?.match(/\d+/g) ?? []).map(Number),
  }));
}

function transformersVectors(file: string): Vector[] {
  if (!existsSync(file)) return [];
  return (JSON.parse(readFileSync(file, 'utf8')) as { cases: Vector[] }).cases;
}
