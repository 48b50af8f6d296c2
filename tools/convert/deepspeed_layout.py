"""Reads a checkpoint of DeepSpeed's layout, of a GPT that Megatron-DeepSpeed has built.

    mp_rank_{MM}_model_states.pt                       all but the experts, under 'module'; one file a tensor-parallel rank
    layer_{L}_expert_{E}_mp_rank_{MM}_model_states.pt  expert E of the L-th layer that has experts
"""
import argparse
import re
from collections import defaultdict
from pathlib import Path

import torch

from checkpoint_file import load_checkpoint
from prmoe import ConversionError, Settings, Tensors

EXPERT_FILE = re.compile(r'layer_(\d+)_expert_(\d+)_mp_rank_(\d+)_model_states\.pt')
DENSE_FILE = re.compile(r'mp_rank_(\d+)_model_states\.pt')
EXPERT_KEY = re.compile(r'layers\.(\d+)\.mlp\.deepspeed_moe\.experts\.deepspeed_experts\.\d+\.(dense_\w+)\.(weight|bias)$')
LAYER_KEY = re.compile(r'layers\.(\d+)\.(.+)\.(weight|bias)$')

OUTSIDE = {
    'word_embeddings.weight': 'token_embd.weight',
    'position_embeddings.weight': 'position_embd.weight',
    'final_layernorm.weight': 'output_norm.weight',
    'final_layernorm.bias': 'output_norm.bias',
    'output_layer.weight': 'output.weight',
}
IN_LAYER = {
    'input_layernorm': 'attn_norm',
    'self_attention.query_key_value': 'attn_qkv',
    'self_attention.dense': 'attn_output',
    'post_attention_layernorm': 'ffn_norm',
    'mlp.dense_h_to_4h': 'ffn_up',
    'mlp.dense_4h_to_h': 'ffn_down',
    'mlp.deepspeed_moe.gate.wg': 'ffn_gate_inp',
    'mlp.mlp.dense_h_to_4h': 'ffn_up',
    'mlp.mlp.dense_4h_to_h': 'ffn_down',
    'mlp.coefficient': 'ffn_coefficient',
}
MLP = {'dense_h_to_4h': 'ffn_up', 'dense_4h_to_h': 'ffn_down'}

# The dimension at which tensor parallelism cuts; everything else is the same on all ranks.
CUT_ROWS = re.compile(r'(word_embeddings|output_layer|query_key_value|dense_h_to_4h)\.(weight|bias)$')
CUT_COLUMNS = re.compile(r'(attention\.dense|dense_4h_to_h)\.weight$')


def flat(tree: dict, prefix: str = '') -> Tensors:
    """Megatron nests its modules' dictionaries; other models of DeepSpeed do not."""
    found = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f'{prefix}{key}.')
        elif isinstance(value, torch.Tensor):
            found[prefix + key] = value
    return found


def joined(ranks: list[Tensors]) -> Tensors:
    """One model of all tensor-parallel ranks' parts."""

    def join(name: str) -> torch.Tensor:
        parts = [rank[name] for rank in ranks]
        cut = 0 if CUT_ROWS.search(name) else 1 if CUT_COLUMNS.search(name) else None
        return parts[0] if cut is None else torch.cat(parts, cut)

    return {name: join(name) for name in ranks[0]}


def expert_of(ranks: list[Tensors]) -> Tensors:
    """Experts are cut only with `--enable-expert-tensor-parallelism`; otherwise each rank has written the same."""
    weights = [next(value for name, value in rank.items() if name.endswith('dense_h_to_4h.weight')) for rank in ranks]
    return ranks[0] if all(torch.equal(weights[0], weight) for weight in weights) else joined(ranks)


def split_qkv(qkv: torch.Tensor, heads: int, kv_heads: int, version: float) -> list[torch.Tensor]:
    """Rows of Q, K and V. Since version 2 each key/value head's rows follow those of its query heads, before they lay apart."""
    rest = qkv.shape[1:]
    groups = heads // kv_heads
    if version >= 2:
        by_head = qkv.reshape(kv_heads, groups + 2, -1, *rest)
        parts = by_head[:, :groups], by_head[:, groups], by_head[:, groups + 1]
    elif kv_heads != heads:
        raise ConversionError(f'grouped key/value heads in a checkpoint of version {version}')
    elif version >= 1:
        parts = qkv.reshape(heads, -1, 3, *rest).unbind(2)
    else:
        parts = qkv.reshape(3, heads, -1, *rest).unbind(0)
    return [part.reshape(-1, *rest) for part in parts]


def find_folder(folder: Path) -> Path:
    """A checkpoint's own folder: the one given, or the one within it that `latest` names."""
    latest = folder / 'latest'
    return folder / latest.read_text().strip() if latest.exists() else folder


def read_deepspeed(folder: Path, given: dict[str, float | None]) -> tuple[Tensors, Settings]:
    """@param given: heads, kv_heads, top_k, eps, context; what is None is taken from Megatron's arguments in the checkpoint"""
    folder = find_folder(folder)
    dense_files = sorted(path for path in folder.iterdir() if DENSE_FILE.fullmatch(path.name))
    if not dense_files:
        raise ConversionError(f'no mp_rank_00_model_states.pt in {folder}')
    states = [load_checkpoint(path) for path in dense_files]
    arguments = vars(states[0].get('args') or argparse.Namespace())
    settings = settings_of(given, arguments)
    dense = joined([flat(state['module']) for state in states])
    tensors = dense_tensors(dense, settings, float(states[0].get('checkpoint_version') or 0))
    tensors |= stacked_experts(folder, tensors)
    ignore_output_biases(tensors)
    return tensors, settings


def settings_of(given: dict[str, float | None], arguments: dict) -> Settings:
    if arguments.get('swiglu') or arguments.get('apply_residual_connection_post_layernorm'):
        raise ConversionError('only GELU and a residual stream that norms do not touch can be converted')

    def value(name: str, argument: str, default: object = None):
        found = next((choice for choice in (given.get(name), arguments.get(argument), default) if choice is not None), None)
        if found is None:
            raise ConversionError(f'the checkpoint does not tell {argument}: give --{name.replace("_", "-")}')
        return found

    heads = value('heads', 'num_attention_heads')
    top_k = value('top_k', 'topk')
    head_size = (arguments.get('hidden_size') or 0) // heads
    percent = arguments.get('rotary_percent') or 1.0
    return Settings(
        heads=heads,
        kv_heads=value('kv_heads', 'num_key_value_heads', heads),
        top_k=top_k,
        # DeepSpeed's gates divide by the sum of all chosen weights, but for a single one.
        renormalise=top_k > 1,
        eps=value('eps', 'layernorm_epsilon'),
        context=value('context', 'max_position_embeddings', 0),
        rope_dims=int(head_size * percent) if percent < 1 else None,
        rope_base=float(arguments.get('rope_theta') or 10_000),
    )


def dense_tensors(dense: Tensors, settings: Settings, version: float) -> Tensors:
    tensors: Tensors = {}
    for name, value in dense.items():
        outside = next((ours for theirs, ours in OUTSIDE.items() if name.endswith(theirs)), None)
        found = LAYER_KEY.search(name)
        if outside:
            tensors[outside] = value
        elif found and (ours := IN_LAYER.get(found[2].replace('attention.', 'self_attention.') if found[2].startswith('attention.') else found[2])):
            block, ending = f'blk.{found[1]}.', found[3]
            if ours == 'attn_qkv':
                for part, rows in zip('qkv', split_qkv(value, settings.heads, settings.kv_heads, version)):
                    tensors[f'{block}attn_{part}.{ending}'] = rows
            else:
                tensors[f'{block}{ours}.{ending}'] = value
        elif 'word_embeddings_for_head' not in name and 'rotary_pos_emb' not in name:
            raise ConversionError(f'no place for the tensor {name}')
    return tensors


def stacked_experts(folder: Path, dense: Tensors) -> Tensors:
    """The experts' matrices by layer, stacked. A file's name counts layers with experts; its tensors' names tell the layer."""
    files: dict[tuple[int, int], list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if found := EXPERT_FILE.fullmatch(path.name):
            files[int(found[1]), int(found[2])].append(path)
    experts: dict[str, dict[int, torch.Tensor]] = defaultdict(dict)
    for (_, expert), paths in files.items():
        for name, value in expert_of([flat(load_checkpoint(path)) for path in paths]).items():
            found = EXPERT_KEY.search(name)
            if not found or found[2] not in MLP:
                raise ConversionError(f'no place for the tensor {name} of {paths[0].name}')
            experts[f'blk.{found[1]}.{MLP[found[2]]}_exps.{found[3]}'][expert] = value
    for name, value in dense.items():
        if name.endswith('ffn_gate_inp.weight'):
            stacked = name.replace('ffn_gate_inp', 'ffn_up_exps')
            missing = set(range(len(value))) - set(experts.get(stacked, ()))
            if missing:
                raise ConversionError(f'the router of {name} has {len(value)} experts; files of {sorted(missing)} are missing')
    return {name: torch.stack([parts[expert] for expert in sorted(parts)]) for name, parts in experts.items()}


def ignore_output_biases(tensors: Tensors) -> None:
    """In layers with experts DeepSpeed adds neither the experts' nor the MLP's output bias ("ignore the bias term for now")."""
    for name in list(tensors):
        if name.endswith('ffn_down_exps.bias'):
            for ignored in (name, name.replace('_exps', '')):
                if ignored in tensors:
                    tensors[ignored] = torch.zeros_like(tensors[ignored])
