"""A trained model as a GGUF file, and back.

    python export.py runs/moe --name "Gatefold storyteller" --out models/storyteller.gguf
    python export.py runs/moe-asked --average models/moe.gguf --name "Gatefold storyteller" --out models/storyteller.gguf

Experts and MLPs are Q5_0, attention and embedding Q8_0, routers, mixing coefficients, norms and biases F32.
"""
import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file

from model import Config, Decoder

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + '<|endoftext|>\\n' }}"
    "{% else %}{{ message['content'] + '\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def load_run(folder: Path) -> Decoder:
    """A finished model of train.py."""
    stored = json.loads((folder / 'result.json').read_text())['config']
    model = Decoder(Config(**stored | {'experts': tuple(stored['experts'])}))
    model.load_state_dict(load_file(folder / 'model.safetensors'))
    return model.eval()


def average(later: Decoder, earlier: Decoder, share: float) -> Decoder:
    """Weights of two stages of one run, `share` of the later ones (Wortsman et al., arXiv 2109.01903): what the later stage taught at less loss elsewhere."""
    old = earlier.state_dict()
    later.load_state_dict({name: share * new + (1 - share) * old[name] for name, new in later.state_dict().items()})
    return later


def tensor_type(name: str) -> Type:
    """What a tensor is stored as: experts make up most of a file, and bear coarse steps best."""
    if 'norm' in name or 'ffn_gate_inp' in name or 'ffn_coefficient' in name:
        return Type.F32
    return Type.Q5_0 if 'ffn_' in name else Type.Q8_0


def add_config(writer: gguf.GGUFWriter, config: Config) -> None:
    """The keys of docs/prmoe.md; qwen3 and qwen3moe have the same, with one number instead of an array of experts."""
    prefix = config.arch
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.mlp_width or config.expert_width)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.eps)
    if not any(config.experts):
        return
    writer.add_expert_used_count(config.top_k)
    writer.add_expert_feed_forward_length(config.expert_width)
    if config.arch == 'prmoe':
        writer.add_array(f'{prefix}.expert_count', list(config.experts))
        writer.add_bool(f'{prefix}.residual', config.residual)
        writer.add_expert_weights_norm(config.renormalise)
    else:
        writer.add_expert_count(config.experts[0])


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict) -> None:
    """@param tokenizer: a tokenizer.json of data.py"""
    vocabulary = sorted(tokenizer['model']['vocab'], key=tokenizer['model']['vocab'].get)
    writer.add_tokenizer_model('gpt2')
    writer.add_tokenizer_pre('qwen2')
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(vocabulary) - 1))
    writer.add_token_merges([' '.join(merge) for merge in tokenizer['model']['merges']])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)


def write_model(path: Path, model: Decoder, tokenizer: dict, name: str, description: str) -> None:
    writer = gguf.GGUFWriter(path, model.config.arch)
    writer.add_name(name)
    writer.add_description(description)
    writer.add_license('apache-2.0')
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q5_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_config(writer, model.config)
    add_tokenizer(writer, tokenizer)
    for tensor, value in model.state_dict().items():
        kind = tensor_type(tensor)
        array = value.float().cpu().numpy()
        writer.add_tensor(tensor, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_model(path: Path) -> Decoder:
    """A model of `write_model` with its weights as the file has them."""
    reader = gguf.GGUFReader(path)
    field = lambda key, default=None: reader.fields[key].contents() if key in reader.fields else default
    arch = field('general.architecture')
    key = lambda name, default=None: field(f'{arch}.{name}', default)
    layers = key('block_count')
    experts = key('expert_count', 0)
    residual = key('residual', False)
    config = Config(
        arch,
        experts=tuple(experts) if isinstance(experts, list) else (experts,) * layers,
        top_k=key('expert_used_count', 0),
        expert_width=key('expert_feed_forward_length', 0),
        mlp_width=key('feed_forward_length') if residual or not experts else 0,
        residual=residual,
        renormalise=key('expert_weights_norm', arch == 'qwen3moe'),
        width=key('embedding_length'),
        heads=key('attention.head_count'),
        kv_heads=key('attention.head_count_kv'),
        head_dim=key('attention.key_length'),
        vocabulary=len(field('tokenizer.ggml.tokens')),
        context=key('context_length'),
        rope_base=key('rope.freq_base'),
        eps=key('attention.layer_norm_rms_epsilon'),
    )
    model = Decoder(config)
    values = {tensor.name: torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)) for tensor in reader.tensors}
    model.load_state_dict({name: values[name].view(old.shape) for name, old in model.state_dict().items()})
    return model.eval()


def load(path: Path) -> Decoder:
    """From a folder of train.py, or from a GGUF file of `write_model`."""
    return load_run(path) if path.is_dir() else read_model(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='folder of a finished model, or a GGUF file')
    parser.add_argument('--average', type=Path, help='the same of an earlier stage, to average with')
    parser.add_argument('--share', type=float, default=0.6, help='of the later weights in the average')
    parser.add_argument('--data', type=Path, default=Path('.train'))
    parser.add_argument('--name', required=True, help='general.name')
    parser.add_argument('--description', default='Writes little stories. Trained from scratch; see MODEL_CARD.md.')
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = json.loads((arguments.data / 'tokenizer.json').read_text())
    model = load(arguments.run)
    if arguments.average:
        model = average(model, load(arguments.average), arguments.share)
    write_model(arguments.out, model, tokenizer, arguments.name, arguments.description)
    print(f'{arguments.out}: {arguments.out.stat().st_size} bytes')


if __name__ == '__main__':
    main()
