"""Similarities are those of the numbers that come in, whatever type they are stored in, and in which form."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib import SentenceTransformer, util
from stlib.sentence_transformer.evaluation import InformationRetrievalEvaluator

TYPES = ["int8", "uint8", "int32", "int64", "bool", "float16", "bfloat16", "float32", "float64"]
ALL_PAIRS = ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim"]
ALIGNED = ["pairwise_cos_sim", "pairwise_dot_score", "pairwise_euclidean_sim", "pairwise_manhattan_sim"]


def vectors(kind: str, seed: int, rows: int = 5) -> torch.Tensor:
    whole = np.random.default_rng(seed).integers(-127, 128, (rows, 6))
    whole[0] = 0
    if kind == "uint8":
        whole = np.abs(whole)
    return torch.from_numpy(whole).to(getattr(torch, kind))


def exact(name: str, a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """In float64, by the definition."""
    x, y = (side.to(torch.float64).numpy() for side in (a, b))
    if not name.startswith("pairwise"):
        x, y = x[:, None, :], y[None, :, :]
    if "cos" in name:
        norms = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
        return (x * y).sum(-1) / np.where(norms == 0, 1, norms)
    if "dot" in name:
        return (x * y).sum(-1)
    return -np.linalg.norm(x - y, axis=-1) if "euclidean" in name else -np.abs(x - y).sum(-1)


FORMS = {
    "tensor": lambda t: t,
    "array": lambda t: t.float().numpy() if t.dtype == torch.bfloat16 else t.numpy(),
    "rows": list,
    "numbers": lambda t: t.tolist(),
    "tuple": lambda t: tuple(t),
}


@pytest.mark.parametrize("name", ALL_PAIRS + ALIGNED)
def test_types_do_not_change_the_numbers(name):
    for kinds in itertools.product(TYPES, TYPES):
        a, b = vectors(kinds[0], 1), vectors(kinds[1], 2)
        result = getattr(util, name)(a, b)
        assert result.dtype == (torch.float64 if set(kinds) == {"float64"} else torch.float32), kinds
        np.testing.assert_allclose(result, exact(name, a, b), rtol=1e-5, atol=2e-3, err_msg=str(kinds))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ALL_PAIRS + ALIGNED),
    st.sampled_from(TYPES),
    st.sampled_from(TYPES),
    st.sampled_from(list(FORMS)),
    st.sampled_from(list(FORMS)),
)
def test_forms_do_not_change_the_numbers(name, kind, other, form, other_form):
    a, b = vectors(kind, 3), vectors(other, 4)
    result = getattr(util, name)(FORMS[form](a), FORMS[other_form](b))
    np.testing.assert_allclose(result.numpy(), exact(name, a, b), rtol=1e-5, atol=2e-3)


def test_a_sum_that_no_byte_holds():
    row = np.array([[127, 64, 100]], np.int8)
    assert util.dot_score(row, row).item() == 127**2 + 64**2 + 100**2
    assert util.euclidean_sim(row, -row).item() == pytest.approx(-2 * np.linalg.norm(row.astype(float)))


@pytest.mark.parametrize("function", ALL_PAIRS)
@pytest.mark.parametrize("stored", ["int8", "float16", "float32", "float64"])
def test_a_query_from_json_searches(function, stored):
    corpus = vectors(stored, 5, rows=40)
    query = vectors("int8", 6, rows=2)
    sent = json.loads(json.dumps(query.tolist()))
    score = getattr(util, function)
    hits = util.semantic_search(sent, corpus.numpy(), top_k=3, score_function=score)
    expected = exact(function, query, corpus)
    for row, found in zip(expected, hits, strict=True):
        np.testing.assert_allclose([h["score"] for h in found], np.sort(row)[::-1][:3], rtol=1e-4, atol=2e-3)
    own = util.semantic_search(sent[1], corpus.numpy(), top_k=3, score_function=lambda a, b: score(a, b))
    assert [h["corpus_id"] for h in own[0]] == [h["corpus_id"] for h in hits[1]]


def test_a_function_of_the_users_gets_a_query_from_json_in_the_type_of_the_corpus():
    corpus = vectors("float32", 5, rows=10)
    (found,) = util.semantic_search([1, 0, 0, 0, 0, 2], corpus, score_function=lambda a, b: a @ b.T, top_k=1)
    assert found[0]["corpus_id"] == int((corpus @ torch.tensor([1.0, 0, 0, 0, 0, 2])).argmax())


@pytest.mark.parametrize("kind", ["int8", "float64"])
def test_mining_and_communities_of_stored_types(kind):
    stored = vectors(kind, 7, rows=30)
    as_floats = stored.float()
    pairs, expected = (util.paraphrase_mining_embeddings(rows, top_k=3) for rows in (stored, as_floats))
    assert [pair[1:] for pair in pairs] == [pair[1:] for pair in expected]
    np.testing.assert_allclose([p[0] for p in pairs], [p[0] for p in expected], atol=1e-6)
    for rows in (stored, stored.numpy(), stored.tolist()):
        groups = util.community_detection(rows, threshold=0.5, min_community_size=2)
        assert groups == util.community_detection(as_floats, threshold=0.5, min_community_size=2)


@pytest.mark.parametrize("kind", ["int8", "uint8", "bool", "float16", "float64"])
def test_unit_rows_of_every_type(kind):
    rows = vectors(kind, 8)
    unit = util.normalize_embeddings(rows).to(torch.float64).numpy()
    lengths = np.linalg.norm(rows.to(torch.float64).numpy(), axis=1, keepdims=True)
    np.testing.assert_allclose(
        unit, rows.to(torch.float64).numpy() / np.where(lengths == 0, 1, lengths), atol=1e-3
    )


def test_stored_vectors_of_a_corpus_rank_as_those_of_the_model():
    model = SentenceTransformer("stlib-static-en", device="cpu")
    texts = {
        str(i): text for i, text in enumerate(["bread rises", "iron rusts", "a lazy dog", "sort a list"])
    }
    queries = {"q": "why does dough get bigger"}
    evaluate = InformationRetrievalEvaluator(queries, texts, {"q": {"0"}}, write_csv=False)
    vectors = model.encode_document(list(texts.values()), convert_to_tensor=True)
    expected = evaluate(model)
    for stored in (vectors.double(), vectors.half()):
        found = evaluate(model, corpus_embeddings=stored)
        assert found == pytest.approx(expected)
