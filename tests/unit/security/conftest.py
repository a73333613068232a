"""Models to be tampered with, and what is planted in them.

Every attack tries to create one file, the canary; a test that asks for it ends by looking that it is not
there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stlib import SentenceTransformer
from stlib.models import Dense, LayerNorm, Normalize, Pooling, WordEmbeddings, WordWeights
from stlib.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

VOCAB = ["PADDING", "sort", "list", "dog"]


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """A model with every kind of configuration and weight file, without a transformer."""
    modules = [
        WordEmbeddings(WhitespaceTokenizer(VOCAB, stop_words=()), torch.ones(4, 6)),
        WordWeights(VOCAB, {"dog": 2.0}),
        Pooling(6),
        Dense(6, 4),
        LayerNorm(4),
        Normalize(),
    ]
    folder = tmp_path_factory.mktemp("saved") / "model"
    SentenceTransformer(modules=modules, device="cpu").save(folder)
    return folder


@pytest.fixture
def model(saved, tmp_path) -> Path:
    """A copy of it, to be tampered with."""
    return shutil.copytree(saved, tmp_path / "model")


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory) -> Path:
    """A tiny BERT as transformers saves it, with a tokenizer of no words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("plain")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=10, **sizes)).save_pretrained(folder)
    Tokenizer(WordLevel({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"pad_token": "[PAD]", "unk_token": "[UNK]"}')
    return folder


@pytest.fixture
def plain_bert(bert_folder, tmp_path) -> Path:
    """A copy of it, to be tampered with."""
    return shutil.copytree(bert_folder, tmp_path / "plain")


@pytest.fixture(scope="session")
def transformer(bert_folder, tmp_path_factory) -> Path:
    """A saved pipeline around the tiny BERT."""
    folder = tmp_path_factory.mktemp("pipeline") / "saved"
    SentenceTransformer(bert_folder, device="cpu").save(folder)
    return folder


@pytest.fixture
def bert(transformer, tmp_path) -> Path:
    """A copy of it, to be tampered with."""
    return shutil.copytree(transformer, tmp_path / "bert")


@pytest.fixture
def edit() -> Any:
    """Sets values in a JSON file: ``edit(path, **changes)``."""
    return _edit


def _edit(path: Path, **changes) -> None:
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**value, **changes}))


@pytest.fixture
def set_module() -> Any:
    """Sets values of one module in modules.json: ``set_module(model, index, **changes)``."""
    return _set_module


def _set_module(model: Path, index: int, **changes) -> None:
    entries = json.loads((model / "modules.json").read_text())
    entries[index].update(changes)
    (model / "modules.json").write_text(json.dumps(entries))


@pytest.fixture
def evil_source() -> Any:
    """The source of a module that creates a file when it is imported: ``evil_source(path)``."""
    return _evil_source


def _evil_source(path: Path) -> str:
    return (
        f"import pathlib; pathlib.Path({str(path)!r}).touch()\n"
        "import torch\n"
        "class Module(torch.nn.Identity):\n"
        "    @classmethod\n"
        "    def load(cls, *args, **kwargs):\n"
        "        return cls()\n"
        "Tanh = Tokenizer = Module\n"
    )
