"""The four decoders. Parameters bear the names of their GGUF tensors, so that a state dict is a model file's tensor table.

Shapes: B sequences, T positions, N = B*T tokens, d residual width, E experts, k experts a token, f expert width.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    arch: str
    """GGUF `general.architecture`."""
    experts: tuple[int, ...]
    """Experts of each layer; 0 is a dense layer."""
    top_k: int = 0
    expert_width: int = 128
    mlp_width: int = 0
    """Width of a dense layer's MLP, and of the MLP beside the experts in a residual MoE layer."""
    residual: bool = False
    """Residual MoE (DeepSpeed-MoE, section 4.1.2): MLP and experts mixed by a learned 2-way softmax."""
    renormalise: bool = False
    """Weights of the chosen experts divided by their sum."""
    width: int = 256
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    vocabulary: int = 4096
    context: int = 512
    rope_base: float = 10_000.0
    eps: float = 1e-6

    @property
    def layers(self) -> int:
        return len(self.experts)


# Equal active parameters: an MLP of 256, two experts of 128, or an MLP and an expert of 128 each.
# The pyramid has the paper's proportions: a quarter of the standard MoE's experts, in the last two layers half of them.
# The student has an eighth fewer layers.
CONFIGS = {
    'dense': Config('qwen3', experts=(0,) * 8, mlp_width=256),
    'moe': Config('qwen3moe', experts=(16,) * 8, top_k=2, renormalise=True),
    'prmoe': Config('prmoe', experts=(4,) * 6 + (8,) * 2, top_k=1, mlp_width=128, residual=True),
    'mos': Config('prmoe', experts=(4,) * 5 + (8,) * 2, top_k=1, mlp_width=128, residual=True),
}


class Stack(nn.Module):
    """One matrix for each expert: `weight` [E, rows, columns]."""

    def __init__(self, experts: int, rows: int, columns: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, rows, columns))


class Norm(nn.RMSNorm):
    """Computes in float32; under autocast gives what matrix products want, once for all that read it."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x.float())
        return y.to(torch.get_autocast_dtype(x.device.type)) if torch.is_autocast_enabled(x.device.type) else y


def linear(columns: int, rows: int) -> nn.Linear:
    return nn.Linear(columns, rows, bias=False)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE over halves ("neox"): x [B, heads, T, head_dim]; cos, sin [T, head_dim / 2]."""
    low, high = x.chunk(2, -1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), -1).to(x.dtype)


def grouped_linear(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """Rows sorted by expert [M, in] times each expert's matrix [E, out, in]; `ends` [E]: where each expert's rows end."""
    if torch.is_autocast_enabled('cuda'):
        return F.grouped_mm(rows.bfloat16(), weight.bfloat16().transpose(1, 2), offs=ends)
    starts = [0, *ends.tolist()]
    return torch.cat([F.linear(rows[a:b], matrix) for a, b, matrix in zip(starts, starts[1:], weight)])


class Block(nn.Module):
    def __init__(self, config: Config, layer: int):
        super().__init__()
        self.config, self.experts = config, config.experts[layer]
        d, q, kv = config.width, config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.attn_norm, self.ffn_norm = Norm(d, config.eps), Norm(d, config.eps)
        self.attn_q, self.attn_k, self.attn_v, self.attn_output = linear(d, q), linear(d, kv), linear(d, kv), linear(q, d)
        self.attn_q_norm, self.attn_k_norm = Norm(config.head_dim, config.eps), Norm(config.head_dim, config.eps)
        if self.experts:
            f = config.expert_width
            self.ffn_gate_inp = linear(d, self.experts)
            self.ffn_gate_exps, self.ffn_up_exps, self.ffn_down_exps = Stack(self.experts, f, d), Stack(self.experts, f, d), Stack(self.experts, d, f)
        if config.residual or not self.experts:
            f = config.mlp_width
            self.ffn_gate, self.ffn_up, self.ffn_down = linear(d, f), linear(d, f), linear(f, d)
        if config.residual and self.experts:
            self.ffn_coefficient = nn.Linear(d, 2)

    def attention(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        heads = lambda y: y.unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)
        q = rotate(self.attn_q_norm(heads(self.attn_q(x))), cos, sin)
        k = rotate(self.attn_k_norm(heads(self.attn_k(x))), cos, sin)
        v = heads(self.attn_v(x))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.attn_output(y.transpose(1, 2).flatten(2))

    def mlp(self, x: Tensor) -> Tensor:
        return self.ffn_down(F.silu(self.ffn_gate(x)) * self.ffn_up(x))

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [N, d] -> chosen experts [N, k], their weights [N, k], balance loss. Float32, since a rounded logit picks another expert."""
        with torch.autocast(x.device.type, enabled=False):
            scores = F.softmax(self.ffn_gate_inp(x.float()), -1)
        weights, ids = scores.topk(self.config.top_k)
        if self.config.renormalise:
            weights = weights / weights.sum(-1, keepdim=True)
        used = F.one_hot(ids, self.experts).float().mean((0, 1))
        return ids, weights, self.experts * (used * scores.mean(0)).sum()  # Switch Transformer's: 1 where balanced

    def moe(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [N, d] -> weighted sum of the chosen experts [N, d], balance loss. No token is ever dropped."""
        k = self.config.top_k
        ids, weights, balance = self.route(x)
        sorted_ids, order = ids.flatten().sort(stable=True)
        ends = torch.searchsorted(sorted_ids, torch.arange(self.experts, device=x.device), right=True).int()
        rows = x.index_select(0, order // k)
        gate, up = (grouped_linear(rows, stack.weight, ends) for stack in (self.ffn_gate_exps, self.ffn_up_exps))
        out = grouped_linear(F.silu(gate) * up, self.ffn_down_exps.weight, ends)
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=x.device))
        return (out.index_select(0, back).unflatten(0, (-1, k)) * weights.unsqueeze(-1)).sum(1), balance

    def ffn(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.experts:
            return self.mlp(x), None
        routed, balance = self.moe(x.flatten(0, 1))
        routed = routed.view_as(x)
        if self.config.residual:
            coefficient = F.softmax(self.ffn_coefficient(x).float(), -1)
            routed = routed * coefficient[..., :1] + self.mlp(x) * coefficient[..., 1:]
        return routed, balance

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, dropout: float) -> tuple[Tensor, Tensor | None]:
        drop = lambda y: F.dropout(y, dropout, self.training)
        x = x + drop(self.attention(self.attn_norm(x), cos, sin))
        y, balance = self.ffn(self.ffn_norm(x))
        return x + drop(y), balance


class Decoder(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocabulary, config.width)
        self.blk = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.output_norm = Norm(config.width, config.eps)

    def initialise(self, seed: int) -> None:
        """Normal weights of 0.02; those that add to the residual stream smaller, so that it does not grow with depth."""
        generator = torch.Generator().manual_seed(seed)
        for name, p in self.named_parameters():
            if name.endswith('bias'):
                nn.init.zeros_(p)
            elif p.dim() > 1:
                adds = 'attn_output' in name or 'ffn_down' in name
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * self.config.layers) if adds else 0.02, generator=generator)

    def forward(self, ids: Tensor, dropout: float = 0.0) -> tuple[Tensor, Tensor]:
        """ids [B, T] -> float32 logits [B, T, vocabulary], mean balance loss of the MoE layers (0 without any)."""
        c = self.config
        frequencies = c.rope_base ** (-torch.arange(0, c.head_dim, 2, device=ids.device) / c.head_dim)
        angles = torch.arange(ids.shape[1], device=ids.device).unsqueeze(1) * frequencies
        cos, sin = angles.cos(), angles.sin()
        x = F.dropout(self.token_embd(ids), dropout, self.training)
        balances = []
        for block in self.blk:
            x, balance = block(x, cos, sin, dropout)
            if balance is not None:
                balances.append(balance)
        logits = F.linear(self.output_norm(x), self.token_embd.weight).float()
        return logits, torch.stack(balances).mean() if balances else logits.new_zeros(())


def parameter_counts(config: Config) -> tuple[int, int]:
    """(all parameters, those that one token uses)."""
    total = active = 0
    for name, p in Decoder(config).named_parameters():
        total += p.numel()
        active += p.numel() // p.shape[0] * config.top_k if '_exps' in name else p.numel()
    return total, active
