import { TokenKind, type Vocabulary } from './vocabulary.ts';

/** Names of tokens that end a turn or a text in the models of the field; llama.cpp goes by the same. */
const NAMES = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|calls|>',
  '<|flush|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<end_of_turn>',
  '<end_of_utterance>',
  '<turn|>',
  '<｜end▁of▁sentence｜>',
  '▁<EOT>',
  '_<EOT>',
  '<|fim_pad|>',
  '<fim-pad>',
  '<fim_pad>',
  '<|fim_repo|>',
  '<fim-repo>',
  '<|repo_name|>',
  '<|file_sep|>',
]);

/** Further names, which ordinary text can have too: only tokens that the file does not call normal are meant. */
const AMBIGUOUS_NAMES = new Set(['</s>', '<eos>', '[EOS]', '<EOT>', '[EOT]', '<PAD>', '[PAD]', '<REPO>', '<reponame>']);

const ROLES = ['eos', 'eot', 'eom', 'fim_pad', 'fim_rep', 'fim_sep'];

/** A token's name says that it ends a turn or a text. */
export function isEndToken(vocabulary: Vocabulary, id: number): boolean {
  const token = vocabulary.tokens[id] ?? '';
  return NAMES.has(token) || (AMBIGUOUS_NAMES.has(token) && vocabulary.kind(id) !== TokenKind.normal);
}

/** Ids after which a model has nothing more to say; the file's EOS first. */
export function endTokens(vocabulary: Vocabulary): readonly number[] {
  const ids = new Set(ROLES.map((role) => vocabulary.role(role)).filter((id) => id !== undefined));
  const names = new Set<string>();
  for (const [id, token] of vocabulary.tokens.entries()) {
    if (!isEndToken(vocabulary, id)) continue;
    ids.add(id);
    names.add(token);
  }
  // In OpenAI's harmony format and Solar's <|end|> closes one message of several.
  const calls = names.has('<|call|>') || names.has('<|calls|>');
  const severalMessages = calls && (names.has('<|return|>') || names.has('<|flush|>'));
  return [...ids].filter((id) => !(severalMessages && vocabulary.tokens[id] === '<|end|>'));
}
