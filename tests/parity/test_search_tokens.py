"""Reranking by a MultiVectorEncoder: the scores are the model's own, and the model is found again."""

from __future__ import annotations

import pytest

from indexing import Collection
from indexing.models.beside import load_beside
from stlib import MultiVectorEncoder
from stlib.multi_vector_encoder.modules import MultiVectorMask
from stlib.recipes.late_interaction import write_onnx
from stlib.runtime.token_encoder import TokenRuntimeEncoder

TEXTS = {"a": "a cat sat on the mat", "b": "the sky is blue", "c": "dogs run, and cats run too"}
QUESTION = "where the cat sat"


@pytest.fixture(scope="module")
def folder(tiny_bert, tmp_path_factory):
    """With torch weights and an ONNX file."""
    folder = tmp_path_factory.mktemp("tokens") / "model"
    MultiVectorEncoder(tiny_bert, device="cpu").save_pretrained(str(folder))
    write_onnx(str(folder))
    return folder


@pytest.mark.parametrize("as_object", [True, False])
def test_scores_are_those_of_the_model(folder, home, as_object):
    model = MultiVectorEncoder(str(folder), device="cpu")
    with Collection.create("c", home=home, tokens=model if as_object else folder) as collection:
        collection.add({"id": id_, "text": text} for id_, text in TEXTS.items())
    with Collection.open("c", home=home) as collection:  # in the form that it was made with
        found = collection.search(QUESTION, rerank="tokens")
    assert (found.reranked, found.notes) == (3, [])
    question = model.encode_query([QUESTION])
    for result in found.results:
        expected = float(model.similarity(question, model.encode_document([TEXTS[result.id]]))[0, 0])
        assert result.parts["rerank"] == pytest.approx(expected, rel=0.02)
    encoder = load_beside("tokens", model if as_object else folder)
    assert isinstance(encoder, TokenRuntimeEncoder) is not as_object


def test_which_tokens_count_is_in_the_fingerprint(folder):
    model = MultiVectorEncoder(str(folder), device="cpu")
    first = load_beside("tokens", model).fingerprint
    assert load_beside("tokens", MultiVectorEncoder(str(folder), device="cpu")).fingerprint == first
    mask = MultiVectorMask(["cat"])
    other = MultiVectorEncoder(modules=[mask if isinstance(one, MultiVectorMask) else one for one in model])
    assert load_beside("tokens", other).fingerprint != first
