"""Both layouts, written from the fixture's weights, give the fixture's file again.

    python -m unittest test_convert
"""
import enum
import tempfile
import unittest
from pathlib import Path

import gguf
import numpy as np
import torch

from convert import convert
from deepspeed_layout import IN_LAYER, OUTSIDE, split_qkv
from make_fixture import EXPERTS_TYPE, TRUNK_TYPE, config_of, lend_tokenizer
from prmoe import ConversionError
from reference import Gpt, save_deepspeed, save_huggingface

FIXTURES = Path(__file__).parent / '../../packages/runtime/test/fixtures'
MODEL = FIXTURES / 'prmoe-deepspeed/model.gguf'
LENDER = FIXTURES / 'tokenizers/gpt-2-512.gguf'
PADDING = 64


def values_of(path: Path) -> dict[str, torch.Tensor]:
    reader = gguf.GGUFReader(path)
    return {tensor.name: torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(*reversed(tensor.shape))) for tensor in reader.tensors}


def model_of(values: dict[str, torch.Tensor]) -> Gpt:
    """The fixture's weights as a model of Megatron's, with its padded vocabulary, and output biases that nothing reads."""
    fixture = config_of(len(values['token_embd.weight']))
    model = Gpt(fixture)
    random = torch.Generator().manual_seed(1)
    state = {}
    for name, old in model.state_dict().items():
        known = next((ours for theirs, ours in OUTSIDE.items() if name.endswith(theirs)), None)
        if known:
            state[name] = values[known]
            continue
        _, _, _, layer, *path, ending = name.split('.')
        block = f'blk.{layer}.'
        if 'deepspeed_experts' in path:
            ours = 'ffn_up_exps' if path[-1] == 'dense_h_to_4h' else 'ffn_down_exps'
            state[name] = values[f'{block}{ours}.{ending}'][int(path[-2])]
        elif path[-1] == 'query_key_value':
            parts = [values[f'{block}attn_{part}.{ending}'] for part in 'qkv']
            state[name] = torch.stack([part.view(fixture.heads, -1, *part.shape[1:]) for part in parts], 1).reshape(old.shape)
        else:
            state[name] = values[f'{block}{IN_LAYER[".".join(path)]}.{ending}']
        if 'dense_4h_to_h.bias' in name and fixture.experts[int(layer)]:
            state[name] = torch.randn(old.shape, generator=random)
    model.load_state_dict(state)
    words = model.language_model.embedding.word_embeddings
    words.weight = torch.nn.Parameter(torch.cat([words.weight, torch.randn(PADDING, fixture.width, generator=random)]))
    return model


class ModelType(enum.Enum):
    encoder_or_decoder = 1


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Layouts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.values = values_of(MODEL)
        cls.model = model_of(cls.values)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.checkpoint = self.folder / 'checkpoint'
        self.tokenizer = self.folder / 'tokenizer.json'
        lend_tokenizer(LENDER, self.tokenizer)

    def convert(self, **options) -> Path:
        out = self.folder / 'model.gguf'
        convert(self.checkpoint, out, name="prmoe in DeepSpeed's shape", tokenizer=self.tokenizer, experts=EXPERTS_TYPE, trunk=TRUNK_TYPE, **options)
        return out

    def assert_same(self, path: Path) -> None:
        made, fixture = gguf.GGUFReader(path), gguf.GGUFReader(MODEL)
        self.assertEqual({key: field.contents() for key, field in made.fields.items()}, {key: field.contents() for key, field in fixture.fields.items()})
        self.assertEqual([(t.name, t.tensor_type, list(t.shape)) for t in made.tensors], [(t.name, t.tensor_type, list(t.shape)) for t in fixture.tensors])
        for ours, theirs in zip(made.tensors, fixture.tensors):
            self.assertTrue(np.array_equal(ours.data, theirs.data), ours.name)

    def test_deepspeed(self):
        save_deepspeed(self.model, self.checkpoint)
        self.assert_same(self.convert())

    def test_deepspeed_over_two_ranks(self):
        save_deepspeed(self.model, self.checkpoint, ranks=2)
        self.assert_same(self.convert())

    def test_deepspeed_with_experts_cut_as_well(self):
        save_deepspeed(self.model, self.checkpoint, ranks=2, cut_experts=True)
        self.assert_same(self.convert())

    def test_huggingface(self):
        save_huggingface(self.values, self.model.config, self.checkpoint)
        self.assert_same(self.convert())

    def test_an_expert_is_missing(self):
        save_deepspeed(self.model, self.checkpoint)
        (self.checkpoint / 'global_step1/layer_1_expert_7_mp_rank_00_model_states.pt').unlink()
        with self.assertRaisesRegex(ConversionError, r'blk\.2\.ffn_gate_inp.*\[7\] are missing'):
            self.convert()

    def test_what_a_checkpoint_does_not_tell(self):
        save_deepspeed(self.model, self.checkpoint)
        path = self.checkpoint / 'global_step1/mp_rank_00_model_states.pt'
        state = torch.load(path, weights_only=False)
        torch.save({'module': state['module'], 'checkpoint_version': 3.0}, path)
        with self.assertRaisesRegex(ConversionError, 'give --heads'):
            self.convert()
        config = self.model.config
        self.assert_same(self.convert(given={'heads': config.heads, 'top_k': config.top_k, 'eps': config.eps}))

    def test_objects_of_other_classes_are_left_out(self):
        save_deepspeed(self.model, self.checkpoint)
        path = self.checkpoint / 'global_step1/mp_rank_00_model_states.pt'
        state = torch.load(path, weights_only=False)
        state['args'].model_type = ModelType.encoder_or_decoder
        state['optimizer'] = Trap(self.folder / 'sprung')
        torch.save(state, path)
        self.assert_same(self.convert())
        self.assertFalse((self.folder / 'sprung').exists())

    def test_a_tensor_without_a_place(self):
        save_deepspeed(self.model, self.checkpoint)
        path = self.checkpoint / 'global_step1/mp_rank_00_model_states.pt'
        state = torch.load(path, weights_only=False)
        state['module']['language_model']['encoder']['layers.0.alibi.weight'] = torch.ones(2)
        torch.save(state, path)
        with self.assertRaisesRegex(ConversionError, 'no place for the tensor .*alibi'):
            self.convert()


class QueryKeyValue(unittest.TestCase):
    def test_orders_of_rows(self):
        """Rows are numbered 100 · (q, k, v) + 10 · head + element."""
        part, head, element = torch.meshgrid(torch.arange(3), torch.arange(2), torch.arange(4), indexing='ij')
        rows = 100 * part + 10 * head + element
        expected = [rows[number].flatten().tolist() for number in range(3)]
        for version, order in ((0, (0, 1, 2)), (1, (1, 2, 0)), (3, (1, 0, 2))):
            parts = split_qkv(rows.permute(order).flatten(), 2, 2, version)
            self.assertEqual([part.tolist() for part in parts], expected, version)

    def test_grouped_heads(self):
        rows = torch.arange(2 * 4 * 3)  # two groups of two query heads, a key and a value head, of three elements
        q, k, v = split_qkv(rows, 4, 2, 3)
        self.assertEqual(q.tolist(), [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17])
        self.assertEqual((k.tolist(), v.tolist()), ([6, 7, 8, 18, 19, 20], [9, 10, 11, 21, 22, 23]))


if __name__ == '__main__':
    unittest.main()
