"""Sparse models on disk: either library loads what the other saved, of today and of earlier generations."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import stlib
from stlib import SparseEncoder, errors
from stlib.sparse_encoder.modules import (
    MLMTransformer,
    SparseAutoEncoder,
    SparseStaticEmbedding,
    SpladePooling,
)
from stlib.util.registry import PACKAGES, resolve_module_class

pytestmark = pytest.mark.parity


def same(model: Any, other: Any, texts: list[str]) -> None:
    for method in ("encode", "encode_query", "encode_document"):
        found, expected = (getattr(one, method)(texts).to_dense() for one in (model, other))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


def settings(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config_sentence_transformers.json").read_text())
    del config["__version__"]
    return config


def test_both_ways(models, reference, texts, tmp_path):
    ours, theirs = models
    ours.save(tmp_path / "ours")
    theirs.save(str(tmp_path / "theirs"))
    back = SparseEncoder(tmp_path / "theirs", device="cpu")
    for model in (
        back,
        reference.SparseEncoder(str(tmp_path / "ours"), device="cpu"),
        SparseEncoder(tmp_path / "ours", device="cpu"),
    ):
        same(model, ours, texts)
        assert model.max_active_dims == ours.max_active_dims
        assert model.similarity_fn_name == ours.similarity_fn_name
    back.save(tmp_path / "again")
    assert settings(tmp_path / "again") == settings(tmp_path / "theirs")
    assert [type(module) for module in back.modules() if hasattr(module, "config_keys")] == [
        type(module) for module in ours.modules() if hasattr(module, "config_keys")
    ]


def test_saved_types_are_those_of_the_first_generation(splade, csr, tmp_path):
    for model, last in ((splade[0], "SpladePooling"), (csr[0], "SparseAutoEncoder")):
        model.save(tmp_path / last)
        entries = json.loads((tmp_path / last / "modules.json").read_text())
        assert entries[-1]["type"] == f"sentence_transformers.sparse_encoder.models.{last}"


def test_settings_are_kept(tiny_mlm, reference, tmp_path, texts):
    prompts = {"query": "search ", "document": ""}
    model = SparseEncoder(
        tiny_mlm, device="cpu", prompts=prompts, max_active_dims=3, similarity_fn_name="cosine"
    )
    model.save(tmp_path / "model")
    theirs = reference.SparseEncoder(str(tmp_path / "model"), device="cpu")
    for loaded in (SparseEncoder(tmp_path / "model", device="cpu"), theirs):
        assert (loaded.max_active_dims, loaded.similarity_fn_name) == (3, "cosine")
        assert loaded.prompts == prompts
        same(loaded, model, texts)
    wider = SparseEncoder(tmp_path / "model", device="cpu", max_active_dims=9, similarity_fn_name="dot")
    assert (wider.max_active_dims, wider.similarity_fn_name) == (9, "dot")
    config = settings(tmp_path / "model")
    for wrong in (0, "many", True):
        (tmp_path / "model" / "config_sentence_transformers.json").write_text(
            json.dumps({**config, "max_active_dims": wrong})
        )
        with pytest.raises(errors.ModelConfigError, match="max_active_dims"):
            SparseEncoder(tmp_path / "model", device="cpu")


def test_model_of_the_first_generation(splade, texts, tmp_path):
    """Types and settings as version 5.0 wrote them: no task, and an older name for the dimension."""
    folder = tmp_path / "older"
    splade[0].save(folder)
    dotted = "sentence_transformers.sparse_encoder.models"
    entries = json.loads((folder / "modules.json").read_text())
    entries[0]["type"], entries[1]["type"] = f"{dotted}.MLMTransformer", f"{dotted}.SpladePooling"
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    (folder / "1_SpladePooling" / "config.json").write_text(
        '{"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": 101}'
    )
    model = SparseEncoder(folder, device="cpu")
    assert type(model[0]) is MLMTransformer
    assert model[1].embedding_dimension == 101
    same(model, splade[0], texts)
    model.save(tmp_path / "again")
    same(SparseEncoder(tmp_path / "again", device="cpu"), splade[0], texts)


def test_weights_named_by_the_configuration(inference_free, texts, tmp_path):
    """Early inference-free models have a JSON file of weights in place of a tensor."""
    folder = tmp_path / "early"
    inference_free[0].save(folder)
    part = folder / "query_0_SparseStaticEmbedding"
    (part / "model.safetensors").unlink()
    (part / "config.json").write_text('{"path": "idf.json", "frozen": true}')
    tokenizer = inference_free[0].tokenizer
    weight = inference_free[0][0].sub_modules["query"][0].weight
    by_word = dict(zip(tokenizer.convert_ids_to_tokens(range(len(weight))), weight.tolist(), strict=True))
    (part / "idf.json").write_text(json.dumps(by_word))
    model = SparseEncoder(folder, device="cpu")
    same(model, inference_free[0], texts)
    (part / "config.json").write_text('{"path": "../../../outside.json"}')
    with pytest.raises(errors.UnsafePath):
        SparseEncoder(folder, device="cpu")


@pytest.mark.parametrize("k", [None, 5])
def test_a_dense_model_becomes_a_sparse_one(tiny_bert, reference, texts, tmp_path, k):
    """An untrained auto-encoder on top, of the same build and start as in the reference."""
    dense = stlib.SentenceTransformer(tiny_bert, device="cpu", prompts={"query": "search "})
    dense.similarity_fn_name = "euclidean"
    dense.save(tmp_path / "dense")
    made = []
    for library in (stlib, reference):
        torch.manual_seed(3)
        made.append(library.SparseEncoder(str(tmp_path / "dense"), device="cpu", max_active_dims=k))
    ours, theirs = made
    assert ours[-1].get_config_dict() == theirs[-1].get_config_dict()
    assert ours.prompts["query"] == theirs.prompts["query"] == "search "
    assert ours.similarity_fn_name == theirs.similarity_fn_name == "euclidean"
    assert ours.max_active_dims == theirs.max_active_dims == (k or 8)
    same(ours, theirs, texts)


def test_a_plain_transformer_without_a_head(tiny_bert, reference):
    made = []
    for library in (stlib, reference):
        torch.manual_seed(3)
        made.append(library.SparseEncoder(tiny_bert, device="cpu"))
    assert made[0][-1].get_config_dict() == made[1][-1].get_config_dict()
    assert [type(m).__name__ for m in made[0]] == [type(m).__name__ for m in made[1]]
    assert torch.equal(made[0][-1].encoder.weight, made[1][-1].encoder.weight)


def test_models_of_other_families(tiny_reranker, tiny_mlm, tmp_path, caplog):
    stlib.CrossEncoder(tiny_reranker, device="cpu").save(tmp_path / "reranker")
    with caplog.at_level(logging.WARNING):
        model = SparseEncoder(tmp_path / "reranker", device="cpu")
    assert "was saved as a CrossEncoder" in caplog.text
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "SparseAutoEncoder"]


def test_weights_that_do_not_fit(csr, tmp_path):
    csr[0].save(tmp_path / "model")
    config = tmp_path / "model" / "2_SparseAutoEncoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_dim": 97}))
    with pytest.raises(errors.WeightsMismatch, match="SparseAutoEncoder"):
        SparseEncoder(tmp_path / "model", device="cpu")
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_dim": 10**9}))
    with pytest.raises(errors.ModelConfigError, match="hidden_dim is 1000000000"):
        SparseEncoder(tmp_path / "model", device="cpu")


MODULES = {
    MLMTransformer: "mlm_transformer",
    SparseAutoEncoder: "sparse_auto_encoder",
    SparseStaticEmbedding: "sparse_static_embedding",
    SpladePooling: "splade_pooling",
}


@pytest.mark.parametrize("cls", MODULES)
def test_paths_of_every_generation(cls):
    name, file = cls.__name__, MODULES[cls]
    paths = [f"sparse_encoder.models.{name}", f"sparse_encoder.models.{name}.{name}"]
    paths += [f"sparse_encoder.modules.{name}", f"sparse_encoder.modules.{file}.{name}"]
    for path in paths:
        for package in PACKAGES:
            assert resolve_module_class(f"{package}.{path}") is cls
        module = importlib.import_module(f"stlib.{path.rpartition('.')[0]}")
        assert getattr(module, name) is cls
    assert importlib.import_module("stlib.sparse_encoder.SparseEncoder").SparseEncoder is SparseEncoder
