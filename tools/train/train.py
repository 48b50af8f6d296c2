"""Trains one of the four models, from a seed and resumable: run the same command again after a stop.

    python train.py moe --out runs/moe
    python train.py mos --out runs/mos --teacher runs/prmoe
    python train.py moe --out runs/moe-asked --start models/moe.gguf --stages asked --steps 600 --learning-rate 1.5e-3 --dropout 0.2

With the stages "main last" (see data.py) the last tenth of the steps is on "last". A student learns from its teacher's distribution
beside the data until `--distill-until` of the steps (staged knowledge distillation, DeepSpeed-MoE, section 4.2.1).
"""
import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from data import STAGES, Corpus
from evaluate import held_out_loss
from export import load_run, read_model
from model import CONFIGS, Decoder, parameter_counts

LAST_STAGE = 0.1
DECAY = 0.3
WARM_UP_STEPS = 100
BALANCE = 0.01


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up, plateau, then linearly to zero."""
    return peak * min(1, (step + 1) / WARM_UP_STEPS, (steps - step) / (DECAY * steps))


def make_optimizer(model: Decoder, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW; norms and biases do not decay."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{'params': matrices, 'weight_decay': weight_decay}, {'params': vectors, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=next(model.parameters()).is_cuda)


def token_stream(corpus: Corpus, stages: list[str], steps: int, tokens_per_step: int, seed: int) -> torch.Tensor:
    """All tokens of a run and one more, since each is also a target."""
    last = steps - round(steps * (1 - LAST_STAGE)) if len(stages) > 1 else steps
    lengths = [(steps - last) * tokens_per_step, last * tokens_per_step + 1][-len(stages):]
    parts = [corpus.stream(stage, length, seed) for stage, length in zip(stages, lengths)]
    return torch.from_numpy(np.concatenate(parts).astype('int32'))


def train(name: str, arguments: argparse.Namespace) -> None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    config, out, steps = CONFIGS[name], arguments.out, arguments.steps
    out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(arguments.data)
    tokens_per_step = arguments.batch * config.context
    stream = token_stream(corpus, arguments.stages, steps, tokens_per_step, arguments.seed).to(device)
    if arguments.start:
        model = read_model(arguments.start).train()
    else:
        model = Decoder(config)
        model.initialise(arguments.seed)
    model.to(device)
    optimizer = make_optimizer(model, arguments.weight_decay)
    teacher = load_run(arguments.teacher).to(device) if arguments.teacher else None
    checkpoint, first = out / 'checkpoint.pt', 0
    if checkpoint.exists():
        stored = torch.load(checkpoint, map_location=device)
        model.load_state_dict(stored['model'])
        optimizer.load_state_dict(stored['optimizer'])
        first = stored['step']
        print(f'{name}: resumes at step {first}')

    if arguments.compile:
        for block in [*model.blk, *(teacher.blk if teacher else [])]:
            block.compile(fullgraph=True)
    started, logged = time.time(), time.time()
    for step in range(first, steps):
        torch.manual_seed(arguments.seed * 1_000_003 + step)  # dropout of a resumed run is that of an unbroken one
        window = stream[step * tokens_per_step:(step + 1) * tokens_per_step + 1].long()
        inputs, targets = window[:-1].view(arguments.batch, -1), window[1:].view(arguments.batch, -1)
        with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
            logits, balance = model(inputs, arguments.dropout)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            total = loss + BALANCE * balance
            if teacher and step < arguments.distill_until * steps:
                with torch.no_grad():
                    wanted = F.log_softmax(teacher(inputs)[0], -1)
                total = total + F.kl_div(F.log_softmax(logits, -1), wanted, log_target=True, reduction='none').sum(-1).mean()
        for group in optimizer.param_groups:
            group['lr'] = learning_rate(step, steps, arguments.learning_rate)
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % arguments.log_every == 0 or step + 1 == steps:
            print(f'{out.name}: step {step + 1} loss {loss.item():.4f} balance {balance.item():.3f} held-out {held_out_loss(model, corpus):.4f}, {(time.time() - logged) / arguments.log_every * 1e3:.0f} ms a step', flush=True)
            logged = time.time()
        if arguments.save_every and (step + 1) % arguments.save_every == 0:
            torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'step': step + 1}, checkpoint)

    total_parameters, active_parameters = parameter_counts(config)
    result = {
        'model': name,
        'parameters': total_parameters,
        'active_parameters': active_parameters,
        'held_out_loss': held_out_loss(model, corpus),
        'seconds': round(time.time() - started, 1),
        'settings': {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()},
        'config': asdict(config),
    }
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, out / 'model.safetensors')
    (out / 'result.json').write_text(json.dumps(result, indent=1))
    print(f'{out.name}: {total_parameters} parameters, {active_parameters} active, held-out loss {result["held_out_loss"]:.4f}, {result["seconds"]} s', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', choices=CONFIGS)
    parser.add_argument('--data', type=Path, default=Path('.train'), help='folder that data.py wrote')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--start', type=Path, help='GGUF file of this model to go on from')
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=['main', 'last'], help='one stage, or two of which the second has the last tenth')
    parser.add_argument('--steps', type=int, default=2400)
    parser.add_argument('--batch', type=int, default=32, help='sequences a step')
    parser.add_argument('--learning-rate', type=float, default=3e-3)
    parser.add_argument('--weight-decay', type=float, default=0.5)
    parser.add_argument('--dropout', type=float, default=0.1)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--teacher', type=Path, help='folder of a finished model to distil from')
    parser.add_argument('--distill-until', type=float, default=0.7, help='share of the steps with the teacher')
    parser.add_argument('--compile', action='store_true', help='faster steps after a minute of compiling')
    parser.add_argument('--log-every', type=int, default=200)
    parser.add_argument('--save-every', type=int, default=500)
    arguments = parser.parse_args()
    train(arguments.model, arguments)


if __name__ == '__main__':
    main()
