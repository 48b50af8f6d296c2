"""Writes a `prmoe` GGUF: keys, tokenizer, tensors."""
import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from prmoe import ConversionError, Settings, Tensors, layer_count, metadata

TYPES = {kind.name.lower(): kind for kind in (Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0)}
PLAIN = ('norm.weight', 'ffn_gate_inp.weight', 'ffn_coefficient.weight', '.bias')


def read_tokenizer(path: Path) -> dict:
    """tokens by id, merges and ids of special tokens, of a byte-level BPE: tokenizer.json, or a folder of vocab.json and merges.txt."""
    if path.is_dir() and (path / 'tokenizer.json').exists():
        path = path / 'tokenizer.json'
    if path.is_dir():
        vocabulary = json.loads((path / 'vocab.json').read_text())
        lines = (path / 'merges.txt').read_text().splitlines()
        merges = [line for line in lines if line and not line.startswith('#version')]
        special = {token for token in ('<|endoftext|>',) if token in vocabulary}
    else:
        stored = json.loads(path.read_text())
        if stored['model']['type'] != 'BPE':
            raise ConversionError(f'a tokenizer of the kind {stored["model"]["type"]}; only byte-level BPE can be converted')
        added = stored.get('added_tokens', [])
        vocabulary = stored['model']['vocab'] | {token['content']: token['id'] for token in added}
        merges = [merge if isinstance(merge, str) else ' '.join(merge) for merge in stored['model']['merges']]
        special = {token['content'] for token in added if token['special']}
    tokens = sorted(vocabulary, key=vocabulary.get)
    if [vocabulary[token] for token in tokens] != list(range(len(tokens))):
        raise ConversionError('the tokenizer has gaps between its ids')
    return {'tokens': tokens, 'merges': merges, 'special': special}


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict, pre: str) -> None:
    tokens, special = tokenizer['tokens'], tokenizer['special']
    writer.add_tokenizer_model('gpt2')
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges(tokenizer['merges'])
    if '<|endoftext|>' in special:
        writer.add_bos_token_id(tokens.index('<|endoftext|>'))
        writer.add_eos_token_id(tokens.index('<|endoftext|>'))
    writer.add_add_bos_token(False)


def stored_type(name: str, experts: Type, trunk: Type) -> Type:
    if name.endswith(PLAIN):
        return Type.F32
    return experts if 'ffn_' in name else trunk


def in_order(tensors: Tensors) -> list[str]:
    """Names in one order whatever the checkpoint's: outside layers first, then layer by layer."""
    layers = layer_count(tensors)
    outside = sorted(name for name in tensors if not name.startswith('blk.'))
    return outside + [name for layer in range(layers) for name in sorted(tensors) if name.startswith(f'blk.{layer}.')]


def write_gguf(path: Path, tensors: Tensors, settings: Settings, tokenizer: dict, *, name: str, pre: str, experts: Type, trunk: Type) -> None:
    vocabulary = len(tokenizer['tokens'])
    for matrix in ('token_embd.weight', 'output.weight'):
        if matrix not in tensors:
            continue
        if len(tensors[matrix]) < vocabulary:
            raise ConversionError(f'{matrix} has {len(tensors[matrix])} rows, fewer than the tokenizer has tokens ({vocabulary})')
        # Megatron pads the vocabulary so that ranks share it evenly.
        tensors = tensors | {matrix: tensors[matrix][:vocabulary]}
    keys = metadata(tensors, settings)
    writer = gguf.GGUFWriter(path, 'prmoe')
    writer.add_name(name)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, list: writer.add_array}
    for key, value in keys.items():
        add[type(value)](f'prmoe.{key}', value)
    add_tokenizer(writer, tokenizer, pre)
    for tensor in in_order(tensors):
        kind = stored_type(tensor, experts, trunk)
        values = np.ascontiguousarray(tensors[tensor].float().numpy())
        writer.add_tensor(tensor, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
