"""Held-out loss of models: mean over all tokens of the held-out stories, each story alone, in nats.

    python evaluate.py models/*.gguf runs/moe      prints the table
"""
import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from data import Corpus
from export import load
from model import Decoder, parameter_counts


@torch.no_grad()
def held_out_loss(model: Decoder, corpus: Corpus, batch: int = 50) -> float:
    device = next(model.parameters()).device
    inputs, targets = (torch.from_numpy(array).to(device) for array in corpus.held_out(model.config.context))
    training = model.training
    model.eval()
    total = 0.0
    with torch.compiler.set_stance('force_eager'):  # another batch, without gradients: not worth a compilation
        for rows in torch.arange(len(inputs), device=device).split(batch):
            logits, _ = model(inputs[rows])
            total += F.cross_entropy(logits.flatten(0, 1), targets[rows].flatten(), ignore_index=-1, reduction='sum').item()
    model.train(training)
    return total / (targets >= 0).sum().item()


@torch.no_grad()
def text_loss(model: Decoder, documents: list[list[int]]) -> tuple[float, int]:
    """(mean loss a token, tokens predicted) of tokenised documents, each alone after an end of text (id 0) and with one after it."""
    total, count = 0.0, 0
    for ids in documents:
        sequence = torch.tensor([[0, *ids, 0]])
        logits, _ = model(sequence[:, :-1])
        total += F.cross_entropy(logits[0], sequence[0, 1:], reduction='sum').item()
        count += sequence.shape[1] - 1
    return total / count, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+', type=Path, help='GGUF files, or folders of train.py')
    parser.add_argument('--data', type=Path, default=Path('.train'))
    arguments = parser.parse_args()
    corpus = Corpus(arguments.data)
    print(f'{"model":28} {"parameters":>10} {"active":>10} {"bytes":>10} {"loss":>7} {"perplexity":>10}')
    for path in arguments.models:
        model = load(path)
        total, active = parameter_counts(model.config)
        size = path.stat().st_size if path.is_file() else 0
        loss = held_out_loss(model, corpus)
        print(f'{path.name:28} {total:10} {active:10} {size:10} {loss:7.4f} {math.exp(loss):10.3f}', flush=True)


if __name__ == '__main__':
    main()
