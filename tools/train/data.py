"""Text to tokens: cleans the sources, trains the tokenizer, writes `tokens.bin` and `documents.npz`; mixes them for training.

    python data.py SOURCES OUT      SOURCES: folder with the *.txt files that the model card names
"""
import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np

EOT = '<|endoftext|>'
"""Ends a document and an assistant's turn; the only special token. Its id is 0."""
VOCABULARY = 4096
HELD_OUT = 300
HERE = Path(__file__).parent

# Pre-tokenizer "qwen2" of GGUF files (llama.cpp, LLAMA_VOCAB_PRE_TYPE_QWEN2).
PRE_TOKENIZER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# How often a pass over the data shows each source. The last stages teach to tell stories when asked.
STAGES = {
    'main': {'tinystories': 6, 'fables': 4, 'storybooks': 3, 'stories': 1.5, 'story_qa': 0.5, 'self_dialogue': 0.5, 'tm4': 0.5, 'chatterbot': 2, 'greetings': 20, 'classics': 0.4},
    'last': {'tinystories': 0.5, 'asked_tinystories': 0.5, 'fables': 1, 'storybooks': 0.5, 'chatterbot': 0.5, 'self_dialogue': 0.02, 'greetings': 20},
    'asked': {'asked_tinystories': 0.5, 'asked_again': 0.5, 'tinystories': 0.3, 'fables': 1, 'storybooks': 0.5, 'stories': 0.2, 'chatterbot': 0.5, 'self_dialogue': 0.02, 'greetings': 15},
}


# ---------------------------------------------------------------- cleaning
def blocks(path: Path) -> list[str]:
    text = path.read_text(encoding='utf-8').replace('\u2014', ' - ')
    return [block.strip() for block in text.split(EOT) if block.strip()]


def paragraphs(text: str) -> str:
    """One empty line between paragraphs, wherever the source broke lines."""
    return re.sub(r'\s*\n\s*', '\n\n', text.strip())


def split_glued(block: str) -> list[str]:
    """Two slices of TinyStories have no end marks: neighbours may be in one block."""
    return re.split(r'\n+(?=Once upon a time|Once there was|Once, there was)', block)


def turns(block: str) -> list[tuple[str, str]]:
    """(speaker, text) of a dialogue in lines `User: …` and `Assistant: …`."""
    parts = re.split(r'(?:^|\n)\s*(User|Assistant):\s*', block)[1:]
    return [(speaker, paragraphs(text)) for speaker, text in zip(parts[::2], parts[1::2])]


def dialogue(said: list[tuple[str, str]]) -> str:
    """As the chat template writes it: each assistant's turn ends the text, and a user's may follow on a new line."""
    return '\n'.join(f'{speaker}: {text}{EOT if speaker == "Assistant" else ""}' for speaker, text in said).removesuffix(EOT)


def well_written(said: list[tuple[str, str]]) -> bool:
    """Half of the self-dialogues are typed without capitals: a model this small would take up the habit."""
    return all(text[:1].isupper() or text[:1] in '"0123456789' for _, text in said) and not any(re.search(r'\bi\b', text) for _, text in said)


# ---------------------------------------------------------------- requests for stories
NOUN_MARKS = {'a', 'an', 'the', 'his', 'her', 'my', 'your', 'their'}
NO_TOPICS = set('day time end way lot bit side top next other same little big old new best first last one girl boy mom dad friend mother father day'.split())
REQUESTS = ['Tell me a story about {}.', 'Tell me a story about {}.', 'Please tell me a story about {}.', 'Can you tell me a story about {}?', 'Write a short story about {}.', 'I want to hear a story about {}.']
OPEN_REQUESTS = ['Tell me a story.', 'Please tell me a story.', 'Can you tell me a story?', 'Write a short story.', 'Tell me a bedtime story.']


def requests(stories: list[str], seed: int) -> list[str]:
    """Each story as the answer to a request that names what it is about: its most telling nouns, or its hero's name."""
    words = [re.findall(r"[A-Za-z']+", story) for story in stories]
    lower = [[word.lower() for word in story] for story in words]
    seen = Counter(word for story in lower for word in story)
    marked = Counter(b for story in lower for a, b in zip(story, story[1:]) if a in NOUN_MARKS)
    in_stories = Counter(word for story in lower for word in set(story))
    nouns = {word for word, n in seen.items() if n >= 8 and marked[word] > 0.35 * n and len(word) > 2} - NO_TOPICS
    rng = random.Random(seed)
    asked = []
    for story, cased in zip(stories, words):
        counts = Counter(word for word in (word.lower() for word in cased) if word in nouns)
        topics = sorted((word for word, n in counts.items() if n >= 2), key=lambda word: -counts[word] * np.log(len(stories) / in_stories[word]))[:2]
        hero = re.search(r'(?:a|an) ([a-z ]{3,24}) (?:named|called) ([A-Z][a-z]+)', story[:200])
        article = lambda noun: ('an ' if noun[0] in 'aeiou' else 'a ') + noun
        choices = [article(topics[0])] * 2 if topics else []
        if len(topics) > 1:
            choices.append(f'{article(topics[0])} and {article(topics[1])}')
        if hero:
            choices += [f'{article(hero[1])} named {hero[2]}', article(hero[1])]
        request = rng.choice(REQUESTS).format(rng.choice(choices)) if choices and rng.random() < 0.85 else rng.choice(OPEN_REQUESTS)
        asked.append(dialogue([('User', request), ('Assistant', story)]))
    return asked


# ---------------------------------------------------------------- preparing
def read_sources(folder: Path, seed: int) -> tuple[dict[str, list[str]], list[str]]:
    """Documents of each source, and the held-out stories."""
    tiny = list(dict.fromkeys(paragraphs(story) for block in blocks(folder / 'tinystories.txt') for story in split_glued(block)))
    tiny = [story for story in tiny if len(story) > 200]
    random.Random(seed).shuffle(tiny)
    held_out, tiny = tiny[:HELD_OUT], tiny[HELD_OUT:]
    chat = {name: [turns(block) for block in blocks(folder / f'{name}_chat.txt')] for name in ('fables', 'story_qa', 'self_dialogue', 'tm4', 'chatterbot_english')}
    chat['self_dialogue'] = [said for said in chat['self_dialogue'] if well_written(said)]
    sources = {name.removesuffix('_english'): [dialogue(said) for said in documents if said] for name, documents in chat.items()}
    sources |= {name: [paragraphs(block) for block in blocks(folder / f'{name}.txt')] for name in ('storybooks', 'stories', 'classics')}
    sources['greetings'] = [dialogue(turns(block)) for block in blocks(HERE / 'greetings.txt')]
    sources['tinystories'] = tiny
    sources['asked_tinystories'] = requests(tiny, seed)
    sources['asked_again'] = requests(tiny, seed + 1) + requests(tiny, seed + 2)
    return sources, held_out


def train_tokenizer(sources: dict[str, list[str]]):
    """Byte-level BPE on the stories and a part of the rest."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PRE_TOKENIZER), 'isolated'), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[EOT], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    corpus = [text for name in ('tinystories', 'asked_tinystories', 'fables', 'storybooks', 'stories') for text in sources[name]]
    corpus += sources['self_dialogue'][::4] + sources['chatterbot'] + sources['tm4'][::4] + sources['classics'][::4]
    tokenizer.train_from_iterator((text.replace(EOT, '') for text in corpus), trainer)
    return tokenizer


def prepare(folder: Path, out: Path, seed: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    sources, held_out = read_sources(folder, seed)
    tokenizer = train_tokenizer(sources)
    tokenizer.save(str(out / 'tokenizer.json'))
    sources['held_out'] = held_out
    ids, ends, source_of = [], [], []
    for index, (name, documents) in enumerate(sources.items()):
        before = sum(map(len, ids))
        for encoding in tokenizer.encode_batch(documents):
            ids.append(np.array(encoding.ids + [0], np.uint16))
            ends.append(len(ids[-1]))
            source_of.append(index)
        print(f'{name:18} {len(documents):6} documents {sum(map(len, ids)) - before:9} tokens')
    np.concatenate(ids).tofile(out / 'tokens.bin')
    np.savez(out / 'documents.npz', ends=np.cumsum(ends), source=np.array(source_of, np.uint8), names=np.array(list(sources)))
    (out / 'held_out.json').write_text(json.dumps(held_out))


# ---------------------------------------------------------------- reading
class Corpus:
    """Tokenised documents. A stream is a function of its seed alone, so that training resumes at any step."""

    def __init__(self, folder: Path):
        self.tokens = np.fromfile(folder / 'tokens.bin', np.uint16)
        index = np.load(folder / 'documents.npz')
        self.ends, self.source, self.names = index['ends'], index['source'], list(index['names'])
        self.starts = np.concatenate([[0], self.ends[:-1]])

    def documents(self, name: str) -> np.ndarray:
        return np.flatnonzero(self.source == self.names.index(name))

    def text(self, document: int) -> np.ndarray:
        """Token ids of one document with the final end of text."""
        return self.tokens[self.starts[document]:self.ends[document]]

    def stream(self, stage: str, length: int, seed: int) -> np.ndarray:
        """`length` tokens of shuffled passes over the stage's mixture."""
        rng = np.random.default_rng(seed)
        parts, have = [], 0
        while have < length:
            chosen = []
            for name, repeats in STAGES[stage].items():
                documents = self.documents(name)
                chosen += [documents] * int(repeats)
                chosen.append(rng.permutation(documents)[:round(len(documents) * (repeats % 1))])
            for document in rng.permutation(np.concatenate(chosen)):
                parts.append(self.text(document))
                have += len(parts[-1])
        return np.concatenate(parts)[:length]

    def held_out(self, context: int) -> tuple[np.ndarray, np.ndarray]:
        """(inputs, targets) [stories, context], each story alone after an end of text; targets are -1 past its end."""
        documents = self.documents('held_out')
        inputs, targets = np.zeros((len(documents), context), np.int64), np.full((len(documents), context), -1, np.int64)
        for row, document in enumerate(documents):
            ids = np.concatenate([[0], self.text(document)])[:context + 1]
            inputs[row, :len(ids) - 1], targets[row, :len(ids) - 1] = ids[:-1], ids[1:]
        return inputs, targets


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sources', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--seed', type=int, default=1)
    arguments = parser.parse_args()
    prepare(arguments.sources, arguments.out, arguments.seed)
