"""Reads a .pt file without running what it says: besides tensors and plain values only Megatron's arguments are made as they are.

`weights_only` would refuse files whose arguments hold an object of Megatron's own, such as `args.model_type`.
"""
import pickle
import sys
from pathlib import Path

import torch

ALLOWED = {
    ('argparse', 'Namespace'),
    ('collections', 'OrderedDict'),
    ('torch._utils', '_rebuild_parameter'),
    ('torch._utils', '_rebuild_tensor_v2'),
}


class Inert:
    """Stands for an object that nothing here needs."""

    def __init__(self, *_, **__):
        pass

    def __call__(self, *_, **__):
        return self

    def __setstate__(self, _):
        pass

    def __setitem__(self, _, __):
        pass

    def append(self, _):
        pass


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        return super().find_class(module, name) if (module, name) in ALLOWED else Inert


def load(file, **options):
    """What torch asks of a pickle module beside `Unpickler`."""
    return Unpickler(file, **options).load()


def load_checkpoint(path: Path) -> dict:
    return torch.load(path, map_location='cpu', weights_only=False, pickle_module=sys.modules[__name__])
