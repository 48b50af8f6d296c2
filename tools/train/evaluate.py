"""Held-out loss of a model: mean over all tokens of the held-out stories, each story alone, in natural units."""
import math

import torch
import torch.nn.functional as F

from data import Corpus
from model import Decoder


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


def perplexity(loss: float) -> float:
    return math.exp(loss)
