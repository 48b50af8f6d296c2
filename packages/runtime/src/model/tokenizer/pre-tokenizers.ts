/**
 * How texts are cut into words before byte-level BPE merges within each: the patterns of the models' own tokenizer.json
 * files, under the names that `tokenizer.ggml.pre` gives them. Patterns apply one after the other, each to the pieces
 * that those before it have left; a match is a piece, and so is what lies between matches.
 */
interface PreTokenizer {
  /** Regular expressions in Oniguruma's syntax. */
  readonly patterns: readonly string[];
  /** A word that is a token stays whole even where merges would not lead to it. */
  readonly ignoreMerges?: boolean;
  /** BOS comes first unless the file says otherwise. */
  readonly addBos?: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The scheme of OpenAI's cl100k. @param digits how many make a number, as a quantifier @param letters a class's content */
const cl100k = (digits: string, letters = '\\p{L}') =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[${letters}]+|\\p{N}${digits}| ?[^\\s${letters}\\p{N}]+[\\r\\n]*|${SPACES}`;

const UPPER = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const LOWER = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';

/** The scheme of OpenAI's o200k: words end where small letters are followed by capitals. */
const o200k = (digits: string, contractions: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]*[${LOWER}]+${contractions}|[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]+[${LOWER}]*${contractions}|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;

const gpt2: PreTokenizer = { patterns: [GPT2] };
const gpt2Digits: PreTokenizer = { patterns: ['\\p{N}', GPT2] };
const llama3: PreTokenizer = { patterns: [cl100k('{1,3}')], ignoreMerges: true, addBos: true };
const dbrx: PreTokenizer = { patterns: [cl100k('{1,3}')] };
const qwen2: PreTokenizer = { patterns: [cl100k('')] };
const gpt4o: PreTokenizer = { patterns: [o200k('{1,3}', `${CONTRACTIONS}?`)] };
const deepseekV3: PreTokenizer = {
  patterns: [
    '\\p{N}{1,3}',
    '[一-龥\\u3040-ゟ゠-ヿ]+',
    `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
  ],
};
/** Han characters and kana, and Hangul syllables, as DeepSeek's first tokenizers see them. */
const DEEPSEEK_CJK = '[一-龥\\u0800-一가-\\ud7ff]+';
/** Letters with case, but for those of these scripts and of mathematics. */
const DEEPSEEK_LETTER =
  '(?![\\u0560-\\u0588\\u10c7-\\u10ff\\u1c80-\\u1c8a\\u2d00-\\u2d2d\\ua790-\\ua7ff\\uab30-\\uab6f\\u{10570}-\\u{105bc}\\u{10d50}-\\u{10d85}\\u{16e40}-\\u{1df2a}])[\\p{Lu}\\p{Ll}\\p{Lt}\\u0295]';
/** DeepSeek-V2 as well. */
const deepseekLlm: PreTokenizer = {
  patterns: ['[\\r\\n]', `\\s?(?:${DEEPSEEK_LETTER})+`, '\\s?[!-\\/:-~！-／：-～‘-‟　-。]+', '\\s+$', DEEPSEEK_CJK, '\\p{N}'],
};
const deepseekCoder: PreTokenizer = { patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', DEEPSEEK_CJK, '\\p{N}'] };
const bailing: PreTokenizer = {
  patterns: ["'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"],
};

/** What llama.cpp does where a file does not say how its words are cut. */
export const DEFAULT_PRE_TOKENIZER: PreTokenizer = { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'] };

const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map(
  Object.entries({
    default: DEFAULT_PRE_TOKENIZER,
    'gpt-2': gpt2,
    'phi-2': gpt2,
    'granite-docling': gpt2,
    exaone4: gpt2,
    gigachat: gpt2,
    mellum: gpt2,
    mpt: gpt2,
    olmo: gpt2,
    trillion: gpt2,
    'command-r': gpt2Digits,
    exaone: gpt2Digits,
    refact: gpt2Digits,
    smollm: gpt2Digits,
    starcoder: gpt2Digits,
    'falcon-h1': llama3,
    falcon3: llama3,
    lfm2: llama3,
    'llama-bpe': llama3,
    'llama-v3': llama3,
    llama3,
    pixtral: llama3,
    'chatglm-bpe': dbrx,
    dbrx,
    glm4: dbrx,
    'smaug-bpe': dbrx,
    'deepseek-r1-qwen': qwen2,
    'grok-2': qwen2,
    hunyuan: qwen2,
    megrez: qwen2,
    qwen2,
    'solar-open': qwen2,
    stablelm2: qwen2,
    qwen35: { patterns: [cl100k('', '\\p{L}\\p{M}')] },
    'gpt-4o': gpt4o,
    kanana2: gpt4o,
    llama4: gpt4o,
    'minimax-m2': gpt4o,
    tekken: { patterns: [o200k('', '')], ignoreMerges: true, addBos: true },
    'deepseek-llm': deepseekLlm,
    'deepseek-coder': deepseekCoder,
    'deepseek-v3': deepseekV3,
    'hunyuan-dense': deepseekV3,
    'joyai-llm': deepseekV3,
    bailingmoe: bailing,
    bailingmoe2: bailing,
    'llada-moe': bailing,
  }),
);

/** The pre-tokeniser of this name, if it is known. @param name the file's `tokenizer.ggml.pre` */
export function preTokenizer(name: string | undefined): PreTokenizer | undefined {
  return name === undefined ? undefined : PRE_TOKENIZERS.get(name);
}
