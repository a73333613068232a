"""Names and folders that are no reranker: told at once, without torch and without the hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from indexing import Collection
from indexing.errors import RerankingFailed
from indexing.models.rerankers import load_reranker
from stlib.runtime import BUNDLED_RERANKER_NAME, default_model_path

ROOT = Path(__file__).resolve().parents[2]
GIVE = "give a cross-encoder's folder, ONNX file or hub id ('owner/name'), or 'stlib-rerank-en'"
CLASSIFIER = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}


@pytest.fixture
def food(home):
    with Collection.create("food", home=home) as collection:
        collection.add([{"id": "fox", "text": "the quick brown fox"}, {"id": "list", "text": "sort a list"}])
        yield collection


@pytest.fixture
def no_torch(monkeypatch):
    """Loading torch fails the test."""
    monkeypatch.setattr("indexing.models.rerankers.full_class", lambda name: pytest.fail("torch was loaded"))


def write_model(folder, labels=1, weights=None):
    config = {**CLASSIFIER, "id2label": {str(n): f"LABEL_{n}" for n in range(labels)}}
    (folder / "config.json").write_text(json.dumps(config))
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)


def run_with(torch, folder, *arguments):
    """`stlib` with the source `torch` in place of torch."""
    (folder / "broken").mkdir()
    (folder / "broken" / "torch.py").write_text(torch)
    paths = [str(folder / "broken"), str(ROOT)]
    start = f"import sys; sys.path[:0] = {paths}; from app.cli import main; main()"
    command = [sys.executable, "-c", start, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def refusal(model):
    with pytest.raises(RerankingFailed) as raised:
        load_reranker(model)
    return str(raised.value)


# --- where torch does not load ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("torch", "said"),
    [
        (
            "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
            "it needs torch, and torch is not installed: pip install torch",
        ),
        (
            "raise OSError('libcudart.so.13: cannot open shared object file')",
            "it needs torch, which does not load here (OSError: libcudart.so.13: cannot open shared object "
            "file): install it anew for this machine, pip install --force-reinstall torch",
        ),
        (
            "raise ImportError('undefined symbol: ncclCommShrink')",
            "it needs torch, which does not load here (ImportError: undefined symbol: ncclCommShrink)",
        ),
    ],
)
def test_a_search_survives_a_torch_that_does_not_load(food, home, tmp_path, torch, said):
    write_model(tmp_path)
    command = ["search", "food", "fox", "--home", home, "--rerank", tmp_path, "--json"]
    done = run_with(torch, tmp_path, *command)
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert [hit["id"] for hit in told["results"]] == [hit.id for hit in food.search("fox").results]
    assert len(told["notes"]) == 1
    assert f"not reranked: reranker {str(tmp_path)!r} cannot be loaded: {said}" in told["notes"][0]
    assert done.stderr == f"stlib: note: {told['notes'][0]}\n"


def test_indexing_names_a_torch_that_does_not_load(home, tmp_path):
    write_model(tmp_path)
    (tmp_path / "notes.txt").write_text("a fox")
    arguments = ["index", "notes", tmp_path / "notes.txt", "--home", home, "--model", tmp_path]
    done = run_with("raise OSError('libcudart.so.13: no such file')", tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"stlib: model {str(tmp_path)!r} cannot be loaded: it needs torch, which does"
    )


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stlib-rerank-eng", "stlib-rerank", "stlib_rerank_en", "Stlib-Rerank-EN"])
def test_a_misspelt_bundled_name_is_told(no_torch, name):
    assert refusal(name) == f"there is no reranker {name!r}: did you mean {BUNDLED_RERANKER_NAME!r}?"


def test_a_misspelt_name_leaves_the_answer(no_torch, food):
    found = food.search("fox", rerank="stlib-rerank-eng")
    assert [hit.id for hit in found.results] == [hit.id for hit in food.search("fox").results]
    assert found.notes == [
        "not reranked: there is no reranker 'stlib-rerank-eng': did you mean 'stlib-rerank-en'?"
    ]


@pytest.mark.parametrize("name", ["/nope", "./nope", "~/nope-1", "a/b/c", "nope\\model", "a.onnx", "nope/"])
def test_a_path_that_leads_nowhere_is_told(no_torch, name):
    message = refusal(name)
    assert message.count("there is no") == 1
    assert message.endswith(GIVE)


def test_a_blank_name_is_told(no_torch):
    assert refusal("  ").endswith(f"the name of the reranker is blank: {GIVE}")


def test_a_home_is_found(no_torch, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert f"'{tmp_path / 'model'}' holds neither modules.json" in refusal("~/model")


def test_a_file_of_another_kind_is_told(no_torch, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    assert "notes.txt' is a file and no ONNX file: give" in refusal(tmp_path / "notes.txt")


@pytest.mark.parametrize("model", ["stlib-static-en", default_model_path()])
def test_the_bundled_embedding_model_is_no_reranker(no_torch, model):
    assert "'stlib-static-en'" in refusal("stlib-static-en")
    assert "is an embedding model, which gives vectors and no score for a pair: give" in refusal(model)


# --- folders ----------------------------------------------------------------------------------------------


def test_labels_are_counted_before_torch_is_loaded(no_torch, tmp_path):
    write_model(tmp_path, labels=3)
    assert refusal(tmp_path) == "the model gives 3 scores per pair; a reranker gives one, see num_labels"


def test_weights_that_are_cut_off_are_told_before_torch_is_loaded(no_torch, tmp_path):
    whole = safetensors.numpy.save({"classifier.bias": np.zeros(9, np.float32)})
    for weights in (whole[:-4], whole[:20], b""):
        write_model(tmp_path, weights=weights)
        assert f"{tmp_path / 'model.safetensors'}: not a readable safetensors file (" in refusal(tmp_path)
    write_model(tmp_path, weights=whole)
    with pytest.raises(pytest.fail.Exception, match="torch was loaded"):
        load_reranker(tmp_path)


def test_an_object_of_another_type_is_told_what_serves():
    assert refusal(7) == (
        "reranker of type int: give a folder, a model name, an stlib.runtime.Reranker or an "
        "stlib.CrossEncoder"
    )
