"""The tiny BERT as a folder of the ONNX backend; no test writes into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stlib import SentenceTransformer

TEXTS = [
    "how do i sort a list?",
    "the quick brown fox jumps over the lazy dog. " * 8,
    "",
    "dictionary",
    "the meaning of a word in a text, and of a text in a document.",
    "a passage",
]


@pytest.fixture(scope="session", autouse=True)
def onnxruntime() -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is missing; run: pip install '.[onnx]'")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Of several lengths, one of them empty."""
    return TEXTS


@pytest.fixture(scope="session")
def torch_vectors(tiny_bert):
    return SentenceTransformer(tiny_bert, device="cpu").encode(TEXTS)


@pytest.fixture(scope="session")
def saved(tiny_bert, tmp_path_factory) -> Path:
    """The tiny BERT as a folder of the ONNX backend."""
    folder = tmp_path_factory.mktemp("onnx") / "saved"
    SentenceTransformer(tiny_bert, backend="onnx", device="cpu").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(saved) -> SentenceTransformer:
    return SentenceTransformer(str(saved), backend="onnx", device="cpu")


@pytest.fixture(scope="session")
def load() -> Any:
    """Loads a folder with this backend: ``load(folder, **model_kwargs)``."""
    return _load


def _load(folder: Path, **model_kwargs) -> SentenceTransformer:
    return SentenceTransformer(str(folder), backend="onnx", device="cpu", model_kwargs=model_kwargs)


@pytest.fixture
def several_threads():
    """Small batches run side by side only where torch has more than one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
