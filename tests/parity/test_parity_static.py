"""StaticEmbedding: vectors, files, distillation and model2vec folders equal the reference's."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from stlib import SentenceTransformer
from stlib.models import Normalize, StaticEmbedding

pytestmark = pytest.mark.parity

TEXTS = [
    "How do I sort a list of dictionaries?",
    "",
    "unknownish words, größer 検索 🎉",
    "the quick brown fox " * 400,
    "a [MASK] here",
]


@pytest.fixture(scope="module")
def their_static(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.modules").StaticEmbedding


@pytest.fixture(scope="module")
def distilled(tiny_bert, their_static):
    """The same distillation in both libraries."""
    pytest.importorskip(
        "model2vec.distill",
        reason="the reference distils with model2vec; run: pip install 'model2vec[distill]'",
        exc_type=ImportError,
    )

    def both(**options):
        ours = StaticEmbedding.from_distillation(tiny_bert, device="cpu", **options)
        return ours, their_static.from_distillation(tiny_bert, device="cpu", **options)

    return both


def same_vectors(ours, theirs, reference, tolerance=1e-6):
    a = SentenceTransformer(modules=[ours], device="cpu").encode(TEXTS)
    b = reference.SentenceTransformer(modules=[theirs], device="cpu").encode(TEXTS)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    return a


@pytest.fixture
def tokenizer(tiny_bert):
    return Tokenizer.from_file(f"{tiny_bert}/tokenizer.json")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_vectors_equal_and_files_are_exchanged(tokenizer, their_static, reference, tmp_path, dtype):
    weights = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 12)).astype(dtype)
    ours = SentenceTransformer(modules=[StaticEmbedding(tokenizer, weights), Normalize()], device="cpu")
    from sentence_transformers.sentence_transformer.modules import Normalize as TheirNormalize

    theirs = reference.SentenceTransformer(
        modules=[their_static(tokenizer, weights), TheirNormalize()], device="cpu"
    )
    vectors = ours.encode(TEXTS)
    # The reference averages no tokens to NaN in half precision.
    np.testing.assert_allclose(vectors, np.nan_to_num(theirs.encode(TEXTS)), rtol=0, atol=1e-6)
    prompted = (model.encode(TEXTS, prompt="query: ") for model in (ours, theirs))
    np.testing.assert_allclose(*prompted, rtol=0, atol=1e-6)
    assert not vectors[1].any()
    ours.save(tmp_path / "ours")
    theirs.save(str(tmp_path / "theirs"))
    for loaded in (
        SentenceTransformer(tmp_path / "theirs"),
        reference.SentenceTransformer(str(tmp_path / "ours")),
    ):
        np.testing.assert_allclose(np.nan_to_num(loaded.encode(TEXTS)), vectors, rtol=0, atol=1e-6)
        assert loaded.get_embedding_dimension() == 12
        assert loaded.max_seq_length == float("inf")


def test_transformers_tokenizer_is_taken(tiny_bert, tokenizer):
    from transformers import AutoTokenizer

    weights = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 4)).astype(np.float32)
    a = SentenceTransformer(modules=[StaticEmbedding(AutoTokenizer.from_pretrained(tiny_bert), weights)])
    b = SentenceTransformer(modules=[StaticEmbedding(tokenizer, weights)])
    np.testing.assert_array_equal(a.encode(TEXTS[:3]), b.encode(TEXTS[:3]))


DISTILLATIONS = [
    {"pca_dims": 16},
    {"pca_dims": None},
    {"pca_dims": 0.9},
    {"pca_dims": 1000},
    {"pca_dims": 8, "sif_coefficient": None},
    {"pca_dims": 8, "sif_coefficient": 1e-2},
    {"pca_dims": 8, "token_remove_pattern": None},
    {"pca_dims": 8, "token_remove_pattern": r"##.*"},
    {"pca_dims": 8, "vocabulary": ["dictionaries", "quick brown", "sort", "Größer", "##x", "the"]},
    {"pca_dims": 8, "quantize_to": "float16"},
    {"pca_dims": 8, "pooling": "first"},
    {"pca_dims": 8, "pooling": "last"},
]


@pytest.mark.parametrize("options", DISTILLATIONS, ids=str)
def test_distillation_equals(distilled, reference, options):
    ours, theirs = distilled(**options)
    assert ours.tokenizer.get_vocab() == theirs.tokenizer.get_vocab()
    assert ours.embedding.weight.dtype == theirs.embedding.weight.dtype
    tolerance = 1e-2 if options.get("quantize_to") == "float16" else 1e-4
    scale = float(theirs.embedding.weight.detach().float().abs().max())
    torch.testing.assert_close(ours.embedding.weight, theirs.embedding.weight, rtol=0, atol=tolerance * scale)
    same_vectors(ours, theirs, reference, tolerance=tolerance * scale)


def test_distillation_of_minilm_is_the_mean_over_each_token(minilm):
    from transformers import AutoModel, AutoTokenizer

    tokens = ["[PAD]", "[UNK]", "the", "##ing", "zealand", "語", "dictionary"]
    others = "(?!(" + "|".join(re.escape(token) for token in tokens) + ")$)"
    ours = StaticEmbedding.from_distillation(
        minilm, device="cpu", pca_dims=None, sif_coefficient=None, token_remove_pattern=others
    )
    assert set(ours.tokenizer.get_vocab()) == set(tokens)
    teacher = AutoModel.from_pretrained(minilm).eval()
    ids = AutoTokenizer.from_pretrained(minilm).get_vocab()
    with torch.inference_mode():
        for token in tokens:
            hidden = teacher(torch.tensor([[101, ids[token], 102]])).last_hidden_state.mean(dim=1)[0]
            row = ours.embedding.weight.detach()[ours.tokenizer.token_to_id(token)]
            torch.testing.assert_close(row, hidden, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["plain", "weights", "mapping"])
def test_model2vec_folder_equals(tokenizer, their_static, reference, tmp_path, form):
    model2vec = pytest.importorskip("model2vec", reason="run: pip install model2vec", exc_type=ImportError)
    rng = np.random.default_rng(3)
    n = tokenizer.get_vocab_size()
    options = {}
    rows = n
    if form != "plain":
        options["weights"] = rng.random(n).astype(np.float32)
    if form == "mapping":
        rows = 10
        options["token_mapping"] = rng.integers(0, rows, n)
    table = rng.normal(size=(rows, 6)).astype(np.float32)
    config = {"normalize": True}
    model2vec.StaticModel(vectors=table, tokenizer=tokenizer, config=config, **options).save_pretrained(
        tmp_path
    )
    ours, theirs = StaticEmbedding.from_model2vec(str(tmp_path)), their_static.from_model2vec(str(tmp_path))
    torch.testing.assert_close(ours.embedding.weight, theirs.embedding.weight)
    same_vectors(ours, theirs, reference)
    assert ours.base_model == str(tmp_path)


def test_int8_with_scale_is_read_and_saved_for_both_libraries(tokenizer, tmp_path, reference):
    from safetensors.numpy import save_file

    rng = np.random.default_rng(5)
    codes = rng.integers(-127, 128, size=(tokenizer.get_vocab_size(), 8)).astype(np.int8)
    scales = {
        "row": rng.random((len(codes), 1)),
        "flat row": rng.random(len(codes)),
        "column": rng.random((1, 8)),
        "flat column": rng.random(8),
        "one": rng.random(1),
    }
    for name, scale in scales.items():
        folder = tmp_path / name
        folder.mkdir()
        scale = scale.astype(np.float32)
        save_file({"embedding.weight": codes, "embedding.scale": scale}, folder / "model.safetensors")
        tokenizer.save(str(folder / "tokenizer.json"))
        module = StaticEmbedding.load(str(folder))
        shaped = scale[:, None] if name == "flat row" else scale
        np.testing.assert_array_equal(module.embedding.weight.detach().numpy(), codes * shaped)
        model = SentenceTransformer(modules=[module], device="cpu")
        model.save(tmp_path / f"{name} saved")
        theirs = reference.SentenceTransformer(str(tmp_path / f"{name} saved"), device="cpu")
        np.testing.assert_allclose(theirs.encode(TEXTS), model.encode(TEXTS), rtol=0, atol=1e-5)


def test_quantised_rows_are_saved_as_int8(tokenizer, tmp_path):
    from safetensors.numpy import load_file

    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32)
    module = StaticEmbedding(tokenizer, table)
    module.quantize_rows()
    model = SentenceTransformer(modules=[module], device="cpu")
    model.save(tmp_path / "m")
    entry = json.loads((tmp_path / "m" / "modules.json").read_text())[0]
    assert entry["type"] == "stlib.sentence_transformer.modules.StaticEmbedding"
    stored = load_file(tmp_path / "m" / entry["path"] / "model.safetensors")
    scale = np.abs(table).max(axis=1, keepdims=True) / 127
    np.testing.assert_array_equal(stored["embedding.weight"], np.round(table / scale))
    again = SentenceTransformer(tmp_path / "m", device="cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))


def test_trained_table_is_saved_as_floats(tokenizer, tmp_path, reference):
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 4)).astype(np.float32)
    module = StaticEmbedding(tokenizer, table)
    module.quantize_rows()
    assert np.abs(module.embedding.weight.detach().numpy() - table).max() < np.abs(table).max() / 127
    model = SentenceTransformer(modules=[module], device="cpu")
    with torch.no_grad():
        module.embedding.weight.add_(0.001)
    model.save(tmp_path / "m")
    theirs = reference.SentenceTransformer(str(tmp_path / "m"), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), model.encode(TEXTS), rtol=0, atol=1e-6)


def test_runtime_gives_the_same_vectors(tokenizer, tmp_path):
    from stlib.runtime import Encoder

    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 16)).astype(np.float32)
    module = StaticEmbedding(tokenizer, table)
    module.quantize_rows()
    SentenceTransformer(modules=[module, Normalize()], prompts={"query": "q: "}).save(tmp_path / "m")
    model, encoder = SentenceTransformer(tmp_path / "m", device="cpu"), Encoder.load(tmp_path / "m")
    texts = TEXTS[:3]  # sums of a thousand tokens differ by more than 1e-6 with the order of addition
    np.testing.assert_allclose(encoder.encode(texts), model.encode(texts), rtol=0, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_query(texts), model.encode_query(texts), rtol=0, atol=1e-6)
