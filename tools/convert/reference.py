"""A PR-MoE in PyTorch, written from section 4.1 of arXiv 2201.05596 and the behaviour of deepspeed/moe/layer.py, and its checkpoints.

Modules bear the names of Megatron-DeepSpeed's, so that `state_dict()` is what DeepSpeed saves. Inference only: no token is dropped, no
noise is added to the router.
"""
import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from huggingface_layout import IN_LAYER as HF_IN_LAYER, OUTSIDE as HF_OUTSIDE


@dataclass(frozen=True)
class Config:
    vocabulary: int
    context: int
    width: int
    heads: int
    ffn_width: int
    """Experts of each layer; 0: a dense layer."""
    experts: tuple[int, ...]
    top_k: int
    eps: float = 1e-5


class Mlp(nn.Module):
    """Megatron's ParallelMLP: hands its output bias on instead of adding it."""

    def __init__(self, config: Config):
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.width, config.ffn_width)
        self.dense_4h_to_h = nn.Linear(config.ffn_width, config.width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.gelu(self.dense_h_to_4h(x), approximate='tanh')
        return F.linear(hidden, self.dense_4h_to_h.weight), self.dense_4h_to_h.bias


class Gate(nn.Module):
    """DeepSpeed's TopKGate: top-1 keeps the softmax's weight, more experts share 1."""

    def __init__(self, config: Config, experts: int):
        super().__init__()
        self.top_k = config.top_k
        self.wg = nn.Linear(config.width, experts, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.wg(x)
        weights, ids = F.softmax(logits, -1).topk(self.top_k)
        return logits, ids, weights / weights.sum(-1, keepdim=True) if self.top_k > 1 else weights


class Experts(nn.Module):
    def __init__(self, config: Config, experts: int):
        super().__init__()
        self.deepspeed_experts = nn.ModuleList(Mlp(config) for _ in range(experts))


class MoeLayer(nn.Module):
    def __init__(self, config: Config, experts: int):
        super().__init__()
        self.gate = Gate(config, experts)
        self.experts = Experts(config, experts)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits, ids, weights = self.gate(x)
        out = torch.zeros_like(x)
        for expert, mlp in enumerate(self.experts.deepspeed_experts):
            share = (weights * (ids == expert)).sum(-1, keepdim=True)
            # The bias is ignored, as in deepspeed/moe/experts.py.
            out = out + share * mlp(x)[0]
        return out, {'router_logits': logits, 'ids': ids, 'weights': weights}


class ResidualMoe(nn.Module):
    """deepspeed/moe/layer.py's MoE with `use_residual`."""

    def __init__(self, config: Config, experts: int):
        super().__init__()
        self.deepspeed_moe = MoeLayer(config, experts)
        self.mlp = Mlp(config)
        self.coefficient = nn.Linear(config.width, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        routed, choice = self.deepspeed_moe(x)
        coefficient = F.softmax(self.coefficient(x), -1)
        return routed * coefficient[:, :1] + self.mlp(x)[0] * coefficient[:, 1:], choice | {'coefficient': coefficient}


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.heads = config.heads
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.dense = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        # Of each head its query, key and value lie together.
        q, k, v = self.query_key_value(x).view(len(x), self.heads, 3, -1).permute(2, 1, 0, 3)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.dense(mixed.transpose(0, 1).reshape(len(x), -1))


class Layer(nn.Module):
    def __init__(self, config: Config, experts: int):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.width, config.eps)
        self.self_attention = Attention(config)
        self.post_attention_layernorm = nn.LayerNorm(config.width, config.eps)
        self.mlp = ResidualMoe(config, experts) if experts else Mlp(config)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        x = x + self.self_attention(self.input_layernorm(x))
        out, other = self.mlp(self.post_attention_layernorm(x))
        # An MLP hands on its bias, a MoE its router's choice.
        return (x + out, other) if isinstance(self.mlp, ResidualMoe) else (x + out + other, {})


class Embedding(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width)
        self.position_embeddings = nn.Embedding(config.context, config.width)


class Encoder(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, experts) for experts in config.experts)
        self.final_layernorm = nn.LayerNorm(config.width, config.eps)


class LanguageModel(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.embedding = Embedding(config)
        self.encoder = Encoder(config)


class Gpt(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.language_model = LanguageModel(config)

    @torch.no_grad()
    def forward(self, ids: list[int]) -> dict[str, Tensor]:
        """All values of the pass by the names of `reference.safetensors`."""
        embedding, encoder = self.language_model.embedding, self.language_model.encoder
        x = embedding.word_embeddings(torch.tensor(ids)) + embedding.position_embeddings(torch.arange(len(ids)))
        record = {'embed': x}
        for number, layer in enumerate(encoder.layers):
            x, choice = layer(x)
            record |= {f'moe.{number}.{name}': value for name, value in choice.items()} | {f'layer.{number}': x}
        x = encoder.final_layernorm(x)
        return record | {'final_norm': x, 'logits': x @ embedding.word_embeddings.weight.T}


# ---------------------------------------------------------------- checkpoints
EXPERT = re.compile(r'language_model\.encoder\.layers\.(\d+)\.mlp\.deepspeed_moe\.experts\.deepspeed_experts\.(\d+)\.(.+)')
ROWS = re.compile(r'(word_embeddings|query_key_value|dense_h_to_4h)\.(weight|bias)$')
COLUMNS = re.compile(r'(self_attention\.dense|dense_4h_to_h)\.weight$')


def part_of(name: str, value: Tensor, rank: int, ranks: int) -> Tensor:
    """What a tensor-parallel rank holds of a tensor."""
    cut = 0 if ROWS.search(name) else 1 if COLUMNS.search(name) else None
    return (value if cut is None else value.chunk(ranks, cut)[rank]).clone()


def save_deepspeed(model: Gpt, folder: Path, ranks: int = 1, cut_experts: bool = False) -> None:
    """As DeepSpeed's engine saves a Megatron model: experts one by one, the rest in one file a tensor-parallel rank."""
    config = model.config
    here = folder / 'global_step1'
    here.mkdir(parents=True)
    (folder / 'latest').write_text(here.name)
    moe_layers = [layer for layer, experts in enumerate(config.experts) if experts]
    state = {name: value.float() for name, value in model.state_dict().items()}
    for rank in range(ranks):
        experts: dict[tuple[int, int], dict[str, Tensor]] = {}
        dense = {'embedding': {}, 'encoder': {}}
        for name, value in state.items():
            part = part_of(name, value, rank, ranks)
            if found := EXPERT.fullmatch(name):
                key = moe_layers.index(int(found[1])), int(found[2])
                experts.setdefault(key, {})[name] = part if cut_experts else value.clone()
            else:
                _, half, rest = name.split('.', 2)
                dense[half][rest] = part
        for (layer, expert), tensors in experts.items():
            torch.save(tensors, here / f'layer_{layer}_expert_{expert}_mp_rank_{rank:02d}_model_states.pt')
        arguments = argparse.Namespace(
            hidden_size=config.width,
            num_attention_heads=config.heads,
            max_position_embeddings=config.context,
            layernorm_epsilon=config.eps,
            topk=config.top_k,
            num_experts=[experts or 1 for experts in config.experts],
            num_key_value_heads=None,
        )
        torch.save({'module': {'language_model': dense}, 'args': arguments, 'checkpoint_version': 3.0, 'iteration': 1}, here / f'mp_rank_{rank:02d}_model_states.pt')


def save_huggingface(tensors: dict[str, Tensor], config: Config, folder: Path) -> None:
    """@param tensors: by GGUF names"""
    folder.mkdir(parents=True)
    outside = {ours: theirs for theirs, ours in HF_OUTSIDE.items()}
    inside = {ours: theirs for theirs, ours in HF_IN_LAYER.items() if '.mlp.' not in f'.{theirs[4:]}'}
    stored = {}
    for name, value in tensors.items():
        stem, _, ending = name.rpartition('.')
        if not name.startswith('blk.'):
            stored[f'{outside[stem]}.{ending}'] = value
            continue
        _, layer, ours = stem.split('.')
        block = f'model.layers.{layer}.'
        if ours.endswith('_exps'):
            kind = ours.removeprefix('ffn_').removesuffix('_exps')
            stored |= {f'{block}mlp.experts.{expert}.{kind}_proj.{ending}': part for expert, part in enumerate(value)}
        else:
            theirs = inside[ours]
            beside = config.experts[int(layer)] and ours in ('ffn_gate', 'ffn_up', 'ffn_down')
            stored[f'{block}{theirs.replace("mlp.", "mlp.mlp.") if beside else theirs}.{ending}'] = value
    save_file({name: value.contiguous().clone() for name, value in stored.items()}, folder / 'model.safetensors')
    hf_config = {
        'model_type': 'prmoe',
        'hidden_act': 'gelu_new',
        'num_attention_heads': config.heads,
        'max_position_embeddings': config.context,
        'layer_norm_eps': config.eps,
        'num_experts_per_tok': config.top_k,
        'norm_topk_prob': config.top_k > 1,
        'tie_word_embeddings': True,
    }
    (folder / 'config.json').write_text(json.dumps(hf_config, indent=1))
