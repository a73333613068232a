"""Searching by a SparseEncoder: the scores are the model's own, and other settings make another model."""

from __future__ import annotations

import pytest

from indexing import Collection
from indexing.models.beside import load_beside
from stlib import MultiVectorEncoder, SparseEncoder
from stlib.multi_vector_encoder.modules import MultiVectorMask
from stlib.sparse_encoder.modules import Router, SpladePooling

TEXTS = {"a": "a cat sat on the mat", "b": "the sky is blue", "c": "dogs run, and cats run too"}
QUESTION = "where the cat sat"


@pytest.fixture(scope="module")
def transformer(tiny_mlm):
    return SparseEncoder(tiny_mlm, device="cpu")[0]


def pooled(transformer, *settings):
    return SparseEncoder(modules=[transformer, SpladePooling(*settings)], device="cpu")


def test_scores_are_those_of_a_model_that_learns_its_width_from_the_first_batch(transformer, home):
    with Collection.create("c", home=home, sparse=pooled(transformer)) as collection:
        collection.add({"id": id_, "text": text} for id_, text in TEXTS.items())
        found = collection.search(QUESTION, mode="sparse").results
    model = pooled(transformer)
    scores = model.similarity(model.encode_query([QUESTION]), model.encode_document([*TEXTS.values()]))
    expected = dict(zip(TEXTS, scores[0].tolist(), strict=True))
    assert [result.id for result in found] == sorted(TEXTS, key=lambda id_: -expected[id_])
    assert [result.score for result in found] == pytest.approx(sorted(expected.values())[::-1], rel=0.02)


def test_how_words_are_pooled_is_in_the_fingerprint(transformer):
    ways = [("max", "relu"), ("sum", "relu"), ("max", "log1p_relu")]
    models = [pooled(transformer, *way) for way in ways]
    found = [load_beside("sparse", model).fingerprint for model in models]
    assert len(set(found)) == 3
    models[0].encode(["a first batch"])
    assert load_beside("sparse", models[0]).fingerprint == found[0]


def test_settings_on_the_routes_of_a_router_count(tiny_bert):
    """Of a late-interaction model, whose mask of tokens may be there."""
    transformer = MultiVectorEncoder(tiny_bert, device="cpu")[0]

    def fingerprint(words):
        routes = [[transformer, MultiVectorMask(words)], [transformer, MultiVectorMask(["."])]]
        router = Router.for_query_document(query_modules=routes[0], document_modules=routes[1])
        return load_beside("tokens", MultiVectorEncoder(modules=[router], device="cpu")).fingerprint

    assert fingerprint(["cat"]) == fingerprint(["cat"]) != fingerprint(["dog"])
