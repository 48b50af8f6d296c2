"""A trained PR-MoE as a GGUF file that Gatefold runs (docs/prmoe.md).

    python convert.py checkpoints/gpt-prmoe --tokenizer gpt2/ --name "My PR-MoE" --out model.gguf     DeepSpeed's layout
    python convert.py my-prmoe-hf --name "My PR-MoE" --out model.gguf                                 Hugging Face's

A folder with a config.json is taken for one of Hugging Face's style.
"""
import argparse
from pathlib import Path

from deepspeed_layout import read_deepspeed
from gguf_file import TYPES, read_tokenizer, write_gguf
from huggingface_layout import read_huggingface


def convert(folder: Path, out: Path, *, name: str, tokenizer: Path | None = None, pre: str = 'gpt-2', experts: str = 'q8_0', trunk: str = 'q8_0', given: dict | None = None) -> None:
    """Throws `ConversionError`. @param given: what a DeepSpeed checkpoint may not tell (`read_deepspeed`)"""
    tensors, settings = read_huggingface(folder) if (folder / 'config.json').exists() else read_deepspeed(folder, given or {})
    write_gguf(out, tensors, settings, read_tokenizer(tokenizer or folder), name=name, pre=pre, experts=TYPES[experts], trunk=TYPES[trunk])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path, help='folder; of DeepSpeed the one with the file `latest`, or with the .pt files')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--name', required=True, help='general.name')
    parser.add_argument('--tokenizer', type=Path, help='tokenizer.json, or a folder with it or with vocab.json and merges.txt; default: the checkpoint')
    parser.add_argument('--pre', default='gpt-2', help='tokenizer.ggml.pre, how text is cut before BPE')
    parser.add_argument('--experts', choices=TYPES, default='q8_0', help='type of experts and MLPs')
    parser.add_argument('--trunk', choices=TYPES, default='q8_0', help='type of the other matrices')
    for option, kind in (('heads', int), ('kv-heads', int), ('top-k', int), ('eps', float), ('context', int)):
        parser.add_argument(f'--{option}', type=kind, help="where a DeepSpeed checkpoint has no Megatron arguments, or others than it should")
    arguments = parser.parse_args()
    given = {option: getattr(arguments, option) for option in ('heads', 'kv_heads', 'top_k', 'eps', 'context')}
    convert(arguments.checkpoint, arguments.out, name=arguments.name, tokenizer=arguments.tokenizer, pre=arguments.pre, experts=arguments.experts, trunk=arguments.trunk, given=given)
    print(f'{arguments.out}: {arguments.out.stat().st_size} bytes')


if __name__ == '__main__':
    main()
