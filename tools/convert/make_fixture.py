"""Makes the fixture of PR-MoE in DeepSpeed's own shape: a tiny random model of reference.py, saved as DeepSpeed saves it, converted.

    python make_fixture.py ../../packages/runtime/test/fixtures/tokenizers/gpt-2-512.gguf ../../packages/runtime/test/fixtures/prmoe-deepspeed

The first argument lends its tokenizer. Weights are rounded to what the file can hold first, so that reference and file agree. The seed
is the first one whose choices are clear: no near-tie between experts, and at least 16 greedy tokens with a margin.
"""
import argparse
import json
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file

from convert import convert
from gguf_file import TYPES, stored_type
from reference import Config, Gpt, save_deepspeed

EXPERTS_TYPE, TRUNK_TYPE = 'q5_0', 'q8_0'
PROMPTS, GREEDY = (9, 40), 32
MARGIN, ROUTER_MARGIN = 0.02, 1e-3


def config_of(vocabulary: int) -> Config:
    return Config(vocabulary=vocabulary, context=256, width=64, heads=2, ffn_width=96, experts=(0, 4, 8), top_k=2)


def random_model(config: Config, seed: int) -> Gpt:
    random = torch.Generator().manual_seed(seed)
    model = Gpt(config).double()
    for name, value in model.state_dict().items():
        normal = torch.randn(value.shape, generator=random, dtype=torch.float64)
        if 'layernorm.weight' in name:
            normal = 1 + 0.25 * normal
        elif value.dim() == 1:
            normal = 0.3 * normal
        elif 'embeddings' in name:
            normal = normal * (2 if 'word' in name else 0.7) / config.width ** 0.5
        else:
            gain = 3 if 'wg' in name else 2 if '4h_to_h' in name or 'h_to_4h' in name else 1.3
            normal = normal * gain / value.shape[-1] ** 0.5
        value.copy_(rounded(name, normal))
    return model.eval()


def rounded(name: str, values: torch.Tensor) -> torch.Tensor:
    """As the file will have them. Rows are rounded one by one, so stacking and splitting change nothing."""
    ours = 'ffn_up.weight' if 'dense_h' in name or 'dense_4h' in name else 'attn_q.weight'
    plain = values.dim() == 1 or 'wg' in name or 'coefficient' in name
    kind = TYPES['f32'] if plain else stored_type(ours, TYPES[EXPERTS_TYPE], TYPES[TRUNK_TYPE])
    stored = gguf.quants.quantize(values.float().numpy(), kind)
    return torch.from_numpy(gguf.quants.dequantize(stored, kind).reshape(values.shape)).double()


def router_gap(record: dict[str, torch.Tensor], top_k: int) -> float:
    """Smallest distance between neighbours among the chosen experts and the first one not chosen."""
    ordered = [value.sort(-1, descending=True).values[:, : top_k + 1] for name, value in record.items() if name.endswith('router_logits')]
    return min(float((logits[:, :-1] - logits[:, 1:]).min()) for logits in ordered)


def attempt(config: Config, seed: int):
    """(model, records, prompts with greedy ids and gaps, smallest router gap), or None where a choice is too close."""
    model = random_model(config, seed)
    random = np.random.default_rng(seed)
    records, answers, gap = [], [], np.inf
    for length in PROMPTS:
        prompt = [int(token) for token in random.integers(0, config.vocabulary, length)]
        ids, gaps = list(prompt), []
        for _ in range(GREEDY):
            record = model(ids)
            if len(ids) == length:
                records.append(record)
            gap = min(gap, router_gap(record, config.top_k))
            best = record['logits'][-1].topk(2)
            gaps.append(float(best.values[0] - best.values[1]))
            ids.append(int(best.indices[0]))
            if gap < ROUTER_MARGIN or (len(gaps) <= 16 and gaps[-1] < MARGIN):
                return None
        answers.append((prompt, ids[length:], gaps))
    return model, records, answers, gap


def lend_tokenizer(path: Path, out: Path) -> int:
    """A GGUF's tokenizer as tokenizer.json. @returns the number of tokens"""
    reader = gguf.GGUFReader(path)
    tokens = reader.fields['tokenizer.ggml.tokens'].contents()
    kinds = reader.fields['tokenizer.ggml.token_type'].contents()
    added = [{'id': i, 'content': token, 'special': True} for i, token in enumerate(tokens) if kinds[i] == gguf.TokenType.CONTROL]
    model = {'type': 'BPE', 'vocab': {token: i for i, token in enumerate(tokens)}, 'merges': reader.fields['tokenizer.ggml.merges'].contents()}
    out.write_text(json.dumps({'model': model, 'added_tokens': added}))
    return len(tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('lender', type=Path)
    parser.add_argument('out', type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = Path(scratch) / 'tokenizer.json'
        config = config_of(lend_tokenizer(arguments.lender, tokenizer))
        seed = 1
        while (made := attempt(config, seed)) is None:
            seed += 1
        model, records, answers, gap = made
        checkpoint = Path(scratch) / 'checkpoint'
        save_deepspeed(model, checkpoint)
        convert(checkpoint, arguments.out / 'model.gguf', name='prmoe in DeepSpeed\'s shape', tokenizer=tokenizer, experts=EXPERTS_TYPE, trunk=TRUNK_TYPE)
    write_reference(arguments.out, config, seed, records, answers, gap)


def write_reference(out: Path, config: Config, seed: int, records, answers, gap: float) -> None:
    named = {}
    for n, ((prompt, _, _), record) in enumerate(zip(answers, records)):
        named[f'p{n}.input_ids'] = np.array(prompt, np.int32)
        named |= {f'p{n}.{name}': value.numpy().astype(np.int32 if name.endswith('.ids') else np.float32) for name, value in record.items()}
    save_file(named, out / 'reference.safetensors')
    reader = gguf.GGUFReader(out / 'model.gguf')
    robust = [next((n for n, g in enumerate(gaps) if g <= MARGIN), len(gaps)) for _, _, gaps in answers]
    reference = {
        'name': out.name,
        'arch': 'prmoe',
        'torch': torch.__version__,
        'seed': seed,
        'dims': {'L': len(config.experts), 'd': config.width, 'h': config.heads, 'kv': config.heads, 'hd': config.width // config.heads, 'ff': config.ffn_width, 'mlp': config.ffn_width, 'E': config.experts, 'k': config.top_k, 'V': config.vocabulary, 'tie': True},
        'gguf_keys': {key: field.contents() for key, field in reader.fields.items() if key.startswith('prmoe.')},
        'tensors': {tensor.name: {'type': tensor.tensor_type.name, 'shape': [int(size) for size in reversed(tensor.shape)]} for tensor in reader.tensors},
        'tokenizer': 'gpt-2-512.json',
        'prompts': [{'ids': prompt, 'greedy': ids, 'greedy_gaps': [round(g, 5) for g in gaps], 'robust_tokens': count} for (prompt, ids, gaps), count in zip(answers, robust)],
        'min_router_gap': gap,
        'robust_tokens': min(robust),
        'logits_absmax': max(float(record['logits'].abs().max()) for record in records),
    }
    (out / 'reference.json').write_text(json.dumps(reference, indent=1) + '\n')
    shares = torch.cat([value[:, 0] for record in records for name, value in record.items() if name.endswith('coefficient')])
    print(f'seed {seed}, router gap {gap:.2e}, robust {robust}, distinct {[len(set(ids)) for _, ids, _ in answers]}, experts\' coefficient {float(shares.min()):.3f} to {float(shares.max()):.3f}')


if __name__ == '__main__':
    main()
