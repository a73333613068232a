"""The tiny BERT as an ONNX file, and folders around it that both libraries load."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stlib import SentenceTransformer
from stlib.models import Pooling, StaticEmbedding, Transformer
from stlib.runtime import Encoder

TEXTS = [
    "how do i sort a list",
    "",
    "the quick brown fox jumps over the lazy dog",
    "fox",
    "Search meaning, not words: a DICTIONARY of long and short documents!",
    "käse 東京 [SEP] query",
    "word " * 100,
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Short, long, empty and in several scripts."""
    return TEXTS


class LastHiddenState(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]


@pytest.fixture(scope="session")
def export() -> Any:
    """Writes a transformers model as ONNX: ids and mask in, token embeddings out."""
    return _export


def _export(model: nn.Module, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    names = ["input_ids", "attention_mask"]
    axes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about constants and about itself
        torch.onnx.export(
            LastHiddenState(model.eval()),
            (ids, mask),
            str(path),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes=dict.fromkeys([*names, "last_hidden_state"], axes),
            opset_version=17,
            dynamo=False,
        )


@pytest.fixture(scope="session")
def tiny_onnx(tiny_bert, tmp_path_factory) -> Path:
    """The tiny BERT as an ONNX file."""
    from transformers import AutoModel

    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    _export(AutoModel.from_pretrained(tiny_bert, attn_implementation="eager"), path)
    return path


@pytest.fixture
def both(tiny_onnx, tmp_path):
    """Saves modules around the tiny BERT and loads the folder with both libraries."""

    def load(*modules: nn.Module, **settings):
        full = SentenceTransformer(modules=list(modules), device="cpu", **settings)
        folder = tmp_path / "model"
        full.save(folder)
        (folder / "onnx").mkdir()
        shutil.copy(tiny_onnx, folder / "onnx" / "model.onnx")
        return SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)

    return load


@pytest.fixture(scope="session")
def assert_equal() -> Any:
    """Asserts that both libraries encode the texts alike: ``assert_equal(full, light, **options)``."""
    return _assert_equal


def _assert_equal(full: SentenceTransformer, light: Encoder, **options) -> None:
    expected = full.encode(TEXTS, **options)
    np.testing.assert_allclose(
        light.encode(TEXTS, **options), expected, rtol=1e-5, atol=3e-6, err_msg=str(options)
    )


@pytest.fixture(scope="session")
def pooled() -> Any:
    """A transformer and its pooling: ``pooled(folder, mode='mean', **options)``."""
    return _pooled


def _pooled(folder: str, mode="mean", **options) -> list[nn.Module]:
    return [Transformer(folder), Pooling(32, mode, **options)]


@pytest.fixture(scope="session")
def static_of() -> Any:
    """Random rows for the tokenizer of a folder: ``static_of(folder)``."""
    return _static_of


def _static_of(folder: str) -> StaticEmbedding:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    rows = np.random.default_rng(5).normal(size=(tokenizer.get_vocab_size(), 32)).astype(np.float32)
    return StaticEmbedding(tokenizer, embedding_weights=rows)
