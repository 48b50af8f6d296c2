"""Reads a folder of Hugging Face's style: config.json, and one or several .safetensors.

Tensors are named as in transformers' Qwen3-MoE; what that model lacks has a name of the same kind:

    model.embed_positions.weight            learned positions
    model.layers.N.mlp.mlp.*_proj           the MLP beside the experts
    model.layers.N.mlp.coefficient          how both are mixed

A `.bias` beside any of them is kept. Layers without `mlp.gate` are dense.
"""
import json
import re
from collections import defaultdict
from pathlib import Path

import torch
from safetensors.torch import load_file

from prmoe import ConversionError, Settings, Tensors

OUTSIDE = {'model.embed_tokens': 'token_embd', 'model.embed_positions': 'position_embd', 'model.norm': 'output_norm', 'lm_head': 'output'}
IN_LAYER = {
    'input_layernorm': 'attn_norm',
    'self_attn.q_proj': 'attn_q',
    'self_attn.k_proj': 'attn_k',
    'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output',
    'self_attn.q_norm': 'attn_q_norm',
    'self_attn.k_norm': 'attn_k_norm',
    'post_attention_layernorm': 'ffn_norm',
    'mlp.gate': 'ffn_gate_inp',
    'mlp.gate_proj': 'ffn_gate',
    'mlp.up_proj': 'ffn_up',
    'mlp.down_proj': 'ffn_down',
    'mlp.mlp.gate_proj': 'ffn_gate',
    'mlp.mlp.up_proj': 'ffn_up',
    'mlp.mlp.down_proj': 'ffn_down',
    'mlp.coefficient': 'ffn_coefficient',
}
LAYER = re.compile(r'model\.layers\.(\d+)\.(.+)')
EXPERT = re.compile(r'mlp\.experts\.(\d+)\.(gate|up|down)_proj')
GELU = ('gelu_new', 'gelu_pytorch_tanh')


def read_huggingface(folder: Path) -> tuple[Tensors, Settings]:
    config = json.loads((folder / 'config.json').read_text())
    stored: Tensors = {}
    for path in sorted(folder.glob('*.safetensors')):
        stored |= load_file(path)
    tensors = renamed(stored)
    if config.get('tie_word_embeddings'):
        tensors.pop('output.weight', None)
    gated = any('ffn_gate.' in name or 'ffn_gate_exps.' in name for name in tensors)
    activation = config.get('hidden_act', 'silu')
    if activation not in (('silu',) if gated else GELU):
        raise ConversionError(f'hidden_act is {activation}; possible: silu with a gate_proj, {" or ".join(GELU)} without')
    head_size = tensors['blk.0.attn_q.weight'].shape[0] // config['num_attention_heads']
    rotated = int(head_size * config.get('partial_rotary_factor', 1))
    return tensors, Settings(
        heads=config['num_attention_heads'],
        kv_heads=config.get('num_key_value_heads', 0),
        top_k=config.get('num_experts_per_tok', 1),
        renormalise=config.get('norm_topk_prob', False),
        eps=config['layer_norm_eps' if 'output_norm.bias' in tensors else 'rms_norm_eps'],
        context=config['max_position_embeddings'],
        rope_dims=rotated,
        rope_base=float(config.get('rope_theta', 10_000)),
    )


def renamed(stored: Tensors) -> Tensors:
    tensors: Tensors = {}
    experts: dict[str, dict[int, torch.Tensor]] = defaultdict(dict)
    for full_name, value in stored.items():
        name, _, ending = full_name.rpartition('.')
        found = LAYER.fullmatch(name)
        expert = EXPERT.fullmatch(found[2]) if found else None
        if found and expert:
            experts[f'blk.{found[1]}.ffn_{expert[2]}_exps.{ending}'][int(expert[1])] = value
        elif found and found[2] in IN_LAYER:
            tensors[f'blk.{found[1]}.{IN_LAYER[found[2]]}.{ending}'] = value
        elif name in OUTSIDE:
            tensors[f'{OUTSIDE[name]}.{ending}'] = value
        else:
            raise ConversionError(f'no place for the tensor {full_name}')
    for name, parts in experts.items():
        if sorted(parts) != list(range(len(parts))):
            raise ConversionError(f'{name} has the experts {sorted(parts)}; some are missing')
        tensors[name] = torch.stack([parts[expert] for expert in range(len(parts))])
    return tensors
