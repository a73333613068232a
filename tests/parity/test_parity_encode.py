"""Vectors of ``encode`` equal those of Sentence Transformers, in every documented form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer

pytestmark = pytest.mark.parity

TEXTS = [
    "How do I sort a list of dictionaries by a key?",
    "short",
    "",
    " ",
    "Ünïcödé, größer als gewöhnlich",
    "機械学習で文を検索する",
    "ابحث عن المعنى وليس عن الكلمات",
    "🎉🚀 emoji 👩‍👩‍👧‍👦 only 🤖",
    "a\nb\tc\u200b d",
    "The quick brown fox jumps over the lazy dog. " * 40,
]

PROMPTS = {"query": "query: ", "document": "passage: ", "task": "Represent the text for search: "}


def close(ours, theirs, tolerance=1e-5):
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def ours(minilm):
    return SentenceTransformer(minilm, device="cpu", prompts=PROMPTS)


@pytest.fixture(scope="module")
def theirs(minilm, reference):
    return reference.SentenceTransformer(minilm, device="cpu", prompts=PROMPTS)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_vectors_equal(ours, theirs, batch_size, cosines):
    a, b = ours.encode(TEXTS, batch_size=batch_size), theirs.encode(TEXTS)
    assert a.dtype == b.dtype == np.float32
    close(a, b)
    assert cosines(a, b).min() >= 0.99999


def test_single_inputs_and_collections_equal(ours, theirs):
    close(ours.encode("one text"), theirs.encode("one text"))
    for form in (tuple, np.array, list):
        close(ours.encode(form(TEXTS[:3])), theirs.encode(form(TEXTS[:3])))
    close(ours.encode(text for text in TEXTS[:3]), theirs.encode(TEXTS[:3]))
    close(ours.encode(sentences=TEXTS[:2]), theirs.encode(TEXTS[:2]))
    pairs = [("a question", "its answer"), ("two", "parts")]
    close(ours.encode(pairs), theirs.encode([list(p) for p in pairs]))


def test_no_inputs_equal(ours, theirs):
    assert ours.encode([]).shape == theirs.encode([]).shape == (0,)
    assert ours.encode([], convert_to_tensor=True).shape == torch.Size([0])
    assert ours.encode([], convert_to_numpy=False) == []


@pytest.mark.parametrize("options", [{"prompt_name": "task"}, {"prompt": "find: "}, {"prompt": ""}])
def test_prompts_equal(ours, theirs, options):
    close(ours.encode(TEXTS[:9], **options), theirs.encode(TEXTS[:9], **options))


def test_queries_and_documents_equal(ours, theirs):
    close(ours.encode_query(TEXTS[:4]), theirs.encode_query(TEXTS[:4]))
    close(ours.encode_document(TEXTS[:4]), theirs.encode_document(TEXTS[:4]))
    close(ours.encode_document("one", prompt_name="query"), theirs.encode_query("one"))


def test_default_prompt_equals(minilm, reference):
    options = {"prompts": PROMPTS, "default_prompt_name": "task", "device": "cpu"}
    a, b = SentenceTransformer(minilm, **options), reference.SentenceTransformer(minilm, **options)
    close(a.encode("text"), b.encode("text"))
    close(a.encode("text", prompt=""), b.encode("text", prompt=""))
    close(a.encode_query("text"), b.encode_query("text"))


@pytest.mark.parametrize("truncate_dim", [1, 100, 384, 1000])
@pytest.mark.parametrize("normalize", [True, False])
def test_truncation_and_normalisation_equal(ours, theirs, truncate_dim, normalize):
    options = {"truncate_dim": truncate_dim, "normalize_embeddings": normalize}
    close(ours.encode(TEXTS[:4], **options), theirs.encode(TEXTS[:4], **options))
    with ours.truncate_sentence_embeddings(truncate_dim):
        close(ours.encode(TEXTS[:4], normalize_embeddings=normalize), theirs.encode(TEXTS[:4], **options))
        assert ours.get_sentence_embedding_dimension() == min(truncate_dim, 384)
    assert ours.truncate_dim is None


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
@pytest.mark.parametrize("form", [{}, {"convert_to_tensor": True}, {"convert_to_numpy": False}])
def test_precisions_and_return_types_equal(ours, theirs, precision, form):
    a, b = (model.encode(TEXTS[:9], precision=precision, **form) for model in (ours, theirs))
    assert type(a) is type(b)
    assert [type(row) for row in a] == [type(row) for row in b]
    assert a[0].dtype == b[0].dtype
    a, b = np.stack([np.asarray(row) for row in a]), np.stack([np.asarray(row) for row in b])
    if precision == "float32":
        close(a, b)
    else:  # A value that rounding moves across the edge of a bucket changes its code; the extremes are edges.
        assert (a != b).mean() < (1e-2 if precision in ("int8", "uint8") else 1e-3)
        if precision in ("int8", "uint8"):
            assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_token_embeddings_equal(ours, theirs):
    a, b = (model.encode(TEXTS, output_value="token_embeddings") for model in (ours, theirs))
    assert isinstance(a, list)
    for x, y in zip(a, b, strict=True):
        assert isinstance(x, torch.Tensor)
        close(x, y)
    close(*(model.encode("one", output_value="token_embeddings") for model in (ours, theirs)))


def test_all_outputs_equal(ours, theirs):
    a, b = (
        model.encode(TEXTS[:3], output_value=None, prompt_name="task", batch_size=1)
        for model in (ours, theirs)
    )
    for x, y in zip(a, b, strict=True):
        assert x.keys() == y.keys()
        for name, value in x.items():
            if isinstance(value, torch.Tensor):
                close(value, y[name])
            else:
                assert value == y[name]
    assert isinstance(ours.encode("one", output_value=None), dict)


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity_equal(ours, theirs, name):
    x, y = theirs.encode(TEXTS[:3]), theirs.encode(TEXTS[4:7])
    ours.similarity_fn_name = theirs.similarity_fn_name = name
    close(ours.similarity(x, y), theirs.similarity(x, y))
    close(ours.similarity_pairwise(x, y), theirs.similarity_pairwise(x, y))
    close(ours.similarity(list(x), torch.tensor(y)), theirs.similarity(list(x), torch.tensor(y)))
    assert ours.similarity_fn_name == name
    ours.similarity_fn_name = theirs.similarity_fn_name = "cosine"


def test_max_seq_length_equal(minilm, reference):
    a, b = SentenceTransformer(minilm, device="cpu"), reference.SentenceTransformer(minilm, device="cpu")
    assert a.max_seq_length == b.max_seq_length == a.get_max_seq_length() == 256
    a.max_seq_length = b.max_seq_length = 12
    close(a.encode(TEXTS), b.encode(TEXTS))
    assert len(a.encode(TEXTS[-1], output_value="token_embeddings")) == 12


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16])
def test_half_precision_equal(minilm, reference, dtype, cosines):
    options = {"device": "cpu", "model_kwargs": {"dtype": dtype}}
    a, b = SentenceTransformer(minilm, **options), reference.SentenceTransformer(minilm, **options)
    assert a.dtype == b.dtype
    x, y = (model.encode(TEXTS[:5], batch_size=1) for model in (a, b))
    assert x.dtype == y.dtype
    close(x, y, tolerance=2e-2)
    assert cosines(x.astype(np.float32), y.astype(np.float32)).min() > 0.999


def test_unknown_keyword_is_refused_like_there(ours, theirs):
    with pytest.raises(ValueError):
        theirs.encode("text", bogus=1)
    with pytest.raises(ValueError, match=r"bogus.*it takes: .*task"):
        ours.encode("text", bogus=1)
    close(ours.encode("text", task="anything"), theirs.encode("text", task="anything"))
