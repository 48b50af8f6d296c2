"""What PyTorch makes of a GGUF file's weights in float32: greedy continuations and the loss on a held-out text, for the runtime's tests.

    python reference.py models/stories.gguf --held-out held-out.txt --out moe.json
"""
import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer

from data import EOT
from evaluate import text_loss
from export import load
from model import Decoder

PROMPTS = [
    'Once upon a time',
    'Tom had a red ball.',
    'The little bear was hungry',
    'User: Tell me a story about a dog.\nAssistant:',
    'User: Tell me a fable about a proud lion in a desert. It should teach: patience brings rewards.\nAssistant:',
    'User: Hello!\nAssistant:',
]


@torch.no_grad()
def greedy(model: Decoder, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """(ids up to the end of text or `count`, gaps between the best and the second logit: one more where the text ended)."""
    ids, gaps = list(prompt), []
    while len(gaps) < count:
        best = model(torch.tensor([ids]))[0][0, -1].topk(2)
        gaps.append(round(float(best.values[0] - best.values[1]), 5))
        if best.indices[0] == 0:
            break
        ids.append(int(best.indices[0]))
    return ids[len(prompt):], gaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path)
    parser.add_argument('--data', type=Path, default=Path('.train'))
    parser.add_argument('--held-out', type=Path, required=True, help='texts separated by <|endoftext|>')
    parser.add_argument('--tokens', type=int, default=64)
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    model, tokenizer = load(arguments.model), Tokenizer.from_file(str(arguments.data / 'tokenizer.json'))
    prompts = []
    for text in PROMPTS:
        ids = [0, *tokenizer.encode(text).ids]
        answer, gaps = greedy(model, ids, arguments.tokens)
        prompts.append({'text': text, 'ids': ids, 'greedy': answer, 'greedy_text': tokenizer.decode(answer), 'ended': len(answer) < len(gaps), 'greedy_gaps': gaps, 'min_gap': min(gaps)})
    texts = [text.strip() for text in arguments.held_out.read_text().split(EOT)]
    documents = [tokenizer.encode(text).ids for text in texts]
    loss, count = text_loss(model, documents)
    held_out = {'file': arguments.held_out.name, 'ids': documents, 'loss_per_text': [text_loss(model, [ids])[0] for ids in documents], 'tokens': count, 'loss': loss, 'perplexity': float(torch.tensor(loss).exp())}
    arguments.out.write_text(json.dumps({'model': arguments.model.name, 'torch': torch.__version__.split('+')[0], 'prompts': prompts, 'held_out': held_out}, ensure_ascii=False, indent=1) + '\n')
    print(f'{arguments.model.name}: loss {loss:.5f} over {count} tokens, smallest gaps {[prompt["min_gap"] for prompt in prompts]}')


if __name__ == '__main__':
    main()
