"""Sparse models without torch give the words and weights of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib.errors import MissingModelFile, ModelConfigError, ModelNotFound, UnsupportedModel
from stlib.runtime.sparse_encoder import SparseRuntimeEncoder

pytestmark = pytest.mark.parity

TEXTS = [
    "the quick brown fox jumps over the lazy dog .",
    "how do i sort a list by key ?",
    "dictionary",
    "",
    "short text , long document - search for the meaning of a word in a query " * 8,
    "é ü 漢字 unknown",
]


@pytest.fixture(scope="module")
def head(tmp_path_factory, save_tokenizer):
    """A function of BertConfig's settings that saves a random BERT with a masked-language head."""
    from transformers import BertConfig, BertForMaskedLM

    def save(**settings) -> str:
        folder = tmp_path_factory.mktemp("mlm")
        save_tokenizer(folder, padding_side=settings.pop("padding_side", "right"))
        words = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
        torch.manual_seed(3)
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
        places = {"max_position_embeddings": 64, "initializer_range": 0.3}
        model = BertForMaskedLM(BertConfig(vocab_size=words, **sizes, **places, **settings)).eval()
        for name, value in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                torch.nn.init.normal_(value, 1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.3)
        model.save_pretrained(folder)
        return str(folder)

    return save


def save_reference(
    folder: Path, head: str, pool: dict | None = None, table: torch.Tensor | None = None
) -> str:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import (
        MLMTransformer,
        SparseStaticEmbedding,
        SpladePooling,
    )

    transformer = MLMTransformer(head)
    modules = [transformer, SpladePooling(**(pool or {}))]
    if table is not None:
        query = SparseStaticEmbedding(transformer.tokenizer, weight=table)
        modules = [Router.for_query_document(query_modules=[query], document_modules=modules)]
    SparseEncoder(modules=modules, device="cpu").save(str(folder))
    return str(folder)


def dense(rows, width: int) -> np.ndarray:
    table = np.zeros((len(rows), width), np.float32)
    for number in range(len(rows)):
        terms, weights = rows.row(number)
        assert (np.diff(terms) > 0).all()
        assert (weights > 0).all()
        table[number, terms] = weights
    return table


def assert_equal(folder: str, texts: list[str] = TEXTS) -> None:
    from sentence_transformers import SparseEncoder

    ours, theirs = SparseRuntimeEncoder.load(folder), SparseEncoder(folder, device="cpu")
    for task in ("encode_query", "encode_document"):
        expected = getattr(theirs, task)(texts, convert_to_sparse_tensor=False).numpy()
        found = dense(getattr(ours, task)(texts), ours.dimension)
        assert found.shape == expected.shape
        assert (expected > 0).sum() > 5
        np.testing.assert_allclose(found, expected, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("pool", "settings"),
    [
        ({}, {}),
        ({"pooling_strategy": "sum"}, {"hidden_act": "relu"}),
        ({"activation_function": "log1p_relu"}, {"hidden_act": "gelu_new"}),
        ({"pooling_strategy": "sum", "activation_function": "log1p_relu"}, {"tie_word_embeddings": False}),
    ],
)
def test_poolings_and_settings(reference, head, tmp_path, pool, settings):
    assert_equal(save_reference(tmp_path / "model", head(**settings), pool))


def test_padding_in_front(reference, head, tmp_path):
    folder = save_reference(tmp_path / "model", head(padding_side="left"))
    for text in TEXTS:  # alone, as the reference's positions count what is in front
        assert_equal(folder, [text])


def test_queries_without_a_network(reference, head, tmp_path):
    words = json.loads(Path(head(), "config.json").read_text())["vocab_size"]
    table = torch.linspace(0, 2, words)
    folder = save_reference(tmp_path / "model", head(), table=table)
    assert_equal(folder)
    # By hand: each word once, with its weight, none of the special ones.
    encoder = SparseRuntimeEncoder.load(folder)
    terms, weights = encoder.encode_query(["the list the list"]).row(0)
    assert sorted(encoder.words(terms.tolist())) == ["list", "the"]
    np.testing.assert_allclose(weights, table[terms.tolist()].numpy())


def test_our_own_folders(reference, head, tmp_path):
    from stlib import SparseEncoder

    model = SparseEncoder(save_reference(tmp_path / "theirs", head(), table=torch.ones(101)), device="cpu")
    model.save(str(tmp_path / "ours"))
    assert_equal(str(tmp_path / "ours"))


def test_order_and_company_change_nothing(reference, head, tmp_path):
    encoder = SparseRuntimeEncoder.load(save_reference(tmp_path / "model", head()))
    together = dense(encoder.encode_document(TEXTS * 9), encoder.dimension)
    alone = np.concatenate([dense(encoder.encode_document([text]), encoder.dimension) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (9, 1)), atol=1e-5)
    assert len(encoder.encode_document([])) == 0


def test_int8_rows_and_words_that_never_fire(reference, head, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = Path(save_reference(tmp_path / "model", head()))
    tensors = load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    scale = np.abs(tensors[name]).max(axis=1, keepdims=True).clip(1e-6) / 127
    codes = np.rint(tensors[name] / scale).astype(np.int8)
    tensors["cls.predictions.bias"][10:30] = -10_000
    plain = {**tensors, name: codes * scale}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
    expected = SparseRuntimeEncoder.load(folder)
    assert_equal(str(folder))
    coded = {**tensors, name: codes, name.replace("weight", "scale"): scale}
    save_file(coded, folder / "model.safetensors", metadata={"format": "pt"})
    encoder = SparseRuntimeEncoder.load(folder)
    assert encoder._pipeline.document.live_words <= encoder.dimension - 20
    for found, wanted in zip(encoder.encode_document(TEXTS), expected.encode_document(TEXTS), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert encoder.fingerprint != expected.fingerprint
    # The library reads the same values, and saves them as floats.
    from stlib import SparseEncoder

    model = SparseEncoder(str(folder), device="cpu")
    read = model.encode_document(TEXTS, convert_to_sparse_tensor=False).numpy()
    np.testing.assert_allclose(dense(encoder.encode_document(TEXTS), encoder.dimension), read, atol=3e-5)
    model.save(str(tmp_path / "floats"))
    assert_equal(str(tmp_path / "floats"))


def test_only_the_most(reference, head, tmp_path):
    folder = Path(save_reference(tmp_path / "model", head()))
    everything = SparseRuntimeEncoder.load(folder).encode_document(TEXTS[:1])
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_active_dims": 3}))
    found = SparseRuntimeEncoder.load(folder).encode_document(TEXTS[:1])
    best = np.argsort(-everything.weights)[:3]
    assert sorted(everything.terms[best]) == found.terms.tolist()


def test_only_the_most_of_queries_too(reference, head, tmp_path):
    words = json.loads(Path(head(), "config.json").read_text())["vocab_size"]
    folder = Path(save_reference(tmp_path / "model", head(), table=torch.linspace(0, 2, words)))
    whole = SparseRuntimeEncoder.load(folder)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_active_dims": 2}))
    assert len(whole.encode_query(TEXTS[:1]).terms) > 2
    assert len(SparseRuntimeEncoder.load(folder).encode_query(TEXTS[:1]).terms) == 2
    assert SparseRuntimeEncoder.load(folder).fingerprint != whole.fingerprint
    assert_equal(str(folder))


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "1e39", "1" + "0" * 400, "true", '"1"', "null"])
def test_weights_that_are_no_finite_numbers_are_refused(reference, head, tmp_path, weight):
    folder = Path(save_reference(tmp_path / "model", head(), table=torch.ones(101)))
    place = next(folder.glob("query_0*"))
    (place / "config.json").write_text('{"path": "weights.json"}')
    (place / "weights.json").write_text('{"the": 0.5}')
    assert SparseRuntimeEncoder.load(folder).encode_query(["the list"]).weights.tolist() == [0.5]
    (place / "weights.json").write_text(f'{{"the": {weight}}}')
    with pytest.raises(ModelConfigError, match=r"weights\.json"):
        SparseRuntimeEncoder.load(folder)


def test_refusals(reference, head, tmp_path):
    folder = Path(save_reference(tmp_path / "model", head()))
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(TypeError, match="single string"):
        SparseRuntimeEncoder.load(folder).encode_document("text")
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "roberta"}))
    with pytest.raises(UnsupportedModel, match=r"'roberta'.*stlib\.SparseEncoder"):
        SparseRuntimeEncoder.load(folder)
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 34}))
    with pytest.raises(ModelConfigError, match=r"shape \[101, 32\], expected \[101, 34\]"):
        SparseRuntimeEncoder.load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelNotFound, match="nowhere"):
        SparseRuntimeEncoder.load(folder / "nowhere")
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingModelFile, match=r"model\.safetensors"):
        SparseRuntimeEncoder.load(folder)


def test_weights_below_zero_are_refused(reference, head, tmp_path):
    folder = save_reference(tmp_path / "model", head(), table=torch.full((101,), -1.0))
    with pytest.raises(UnsupportedModel, match="weighs -1"):
        SparseRuntimeEncoder.load(folder)
