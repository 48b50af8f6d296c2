"""A PR-MoE between two formats: tensors by their GGUF names, and the numbers that shapes do not tell (docs/prmoe.md)."""
from dataclasses import dataclass

import torch

Tensors = dict[str, torch.Tensor]


class ConversionError(Exception):
    """The checkpoint is not complete, or has something that a `prmoe` GGUF cannot say."""


@dataclass(frozen=True)
class Settings:
    heads: int
    top_k: int
    """Whether the chosen experts' weights are divided by their sum."""
    renormalise: bool
    eps: float
    """Key/value heads; 0: as many as heads."""
    kv_heads: int = 0
    """Positions trained for; 0: as many as there are learned positions."""
    context: int = 0
    """Rotated dimensions of a head; None: all. Models with learned positions have none."""
    rope_dims: int | None = None
    rope_base: float = 10_000.0


def layer_count(tensors: Tensors) -> int:
    return 1 + max(int(name.split('.')[1]) for name in tensors if name.startswith('blk.'))


def metadata(tensors: Tensors, settings: Settings) -> dict[str, object]:
    """The file's keys without the prefix `prmoe.`."""
    layers = layer_count(tensors)
    width = tensors['token_embd.weight'].shape[1]
    kv_heads = settings.kv_heads or settings.heads
    head_size = tensors['blk.0.attn_q.weight'].shape[0] // settings.heads
    experts = [len(tensors.get(f'blk.{layer}.ffn_up_exps.weight', ())) for layer in range(layers)]
    expert_widths = {tensors[f'blk.{layer}.ffn_up_exps.weight'].shape[1] for layer in range(layers) if experts[layer]}
    if len(expert_widths) > 1:
        raise ConversionError(f'experts of different widths: {sorted(expert_widths)}')
    mlp_widths = [tensors[name].shape[0] if (name := f'blk.{layer}.ffn_up.weight') in tensors else max(expert_widths) for layer in range(layers)]
    positions = tensors.get('position_embd.weight')
    keys: dict[str, object] = {
        'context_length': settings.context or (len(positions) if positions is not None else 0),
        'embedding_length': width,
        'block_count': layers,
        'feed_forward_length': mlp_widths[0] if len(set(mlp_widths)) == 1 else mlp_widths,
        'attention.head_count': settings.heads,
        'attention.head_count_kv': kv_heads,
        'attention.key_length': head_size,
        'attention.value_length': head_size,
        f'attention.layer_norm_{"" if "output_norm.bias" in tensors else "rms_"}epsilon': settings.eps,
    }
    if not keys['context_length']:
        raise ConversionError('the checkpoint does not tell its context length: give --context')
    if positions is not None:
        keys['rope.dimension_count'] = 0
    else:
        keys |= {'rope.dimension_count': head_size if settings.rope_dims is None else settings.rope_dims, 'rope.freq_base': settings.rope_base}
    if expert_widths:
        keys |= {
            'expert_count': experts,
            'expert_used_count': settings.top_k,
            'expert_feed_forward_length': expert_widths.pop(),
            'expert_weights_norm': settings.renormalise,
            'residual': any(name.endswith('ffn_coefficient.weight') for name in tensors),
        }
    if not any('ffn_gate.' in name or 'ffn_gate_exps.' in name for name in tensors):
        keys['hidden_activation'] = 'gelu'
    return keys
