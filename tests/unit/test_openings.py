"""The vector of a first passage leans on how the document opens."""

from __future__ import annotations

import numpy as np
import pytest

from indexing import ChunkSettings, Collection
from indexing.embed import Titled, chunk_text, cut, embed, openings
from indexing.models.encoders import normalise
from indexing.openings import opening_of
from indexing.quantization import Codec
from stlib.runtime import Encoder

FIRST = "Run command with arguments and return its output."
REST = "If the exit code was non-zero it raises an error, which has the code and what was printed until then."


@pytest.mark.parametrize(
    ("title", "text", "opening"),
    [
        ("t", f"{FIRST}\n\n{REST}", FIRST),
        ("t", f"  {FIRST} {REST}", FIRST),
        ("Run", f"Run\n\n{FIRST} {REST}", f"Run\n\n{FIRST}"),  # the title alone says nothing new
        ("t", FIRST, None),
        ("t", f"{FIRST} And so on.", None),  # too little to be lost among
        ("t", "word " * 300, None),
        ("t", "", None),
    ],
)
def test_where_it_ends(title, text, opening):
    start = len(text) - len(text.lstrip())
    found = opening_of(title, text, (start, len(text)))
    assert (found and text[found[0] : found[1]]) == opening


def test_only_the_first_passage_of_a_document_has_one():
    documents = [Titled("a", f"{FIRST} {REST} " * 5), Titled("", FIRST), Titled("b", "")]
    spans = cut(documents, Encoder.load(), ChunkSettings(64, 0))
    assert len(spans[0]) > 2 and list(map(len, spans[1:])) == [1, 0]
    assert list(openings(documents, spans)) == [f"a\n{FIRST}", *[None] * len(spans[0])]


def test_vectors_lie_half_way():
    encoder = Encoder.load()
    codec = Codec.fit("float32", np.eye(encoder.dimension, dtype=np.float32))
    text = f"{FIRST} {REST}"
    documents = [Titled("subprocess", text), Titled("", FIRST)]

    def vectors(opening):
        made = embed(documents, encoder, ChunkSettings(opening=opening), codec)
        return np.stack([np.frombuffer(codes[0], np.float32) for codes in made.codes])

    texts = [chunk_text("subprocess", text), f"subprocess\n{FIRST}", FIRST]
    whole, opens, short = normalise(encoder.encode(texts))
    np.testing.assert_allclose(vectors(None), [whole, short], atol=1e-6)
    np.testing.assert_allclose(vectors(True), [normalise((whole + opens)[None])[0], short], atol=1e-6)


def test_a_vector_does_not_lean_on_an_opening_that_is_unlike_the_rest():
    encoder = Encoder.load()
    codec = Codec.fit("float32", np.eye(encoder.dimension, dtype=np.float32))
    greeting = "Thank you for your patience, and kind regards to all of the family."
    text = f"{greeting} {REST} {FIRST} {REST}"
    assert opening_of("", text, (0, len(text))) == (0, len(greeting))
    made = embed([Titled("", text)], encoder, ChunkSettings(opening=True), codec)
    (whole,) = normalise(encoder.encode([text]))
    np.testing.assert_allclose(np.frombuffer(made.codes[0][0], np.float32), whole, atol=1e-6)


def test_a_static_model_has_it_unless_told_otherwise(tmp_path):
    def chunking(name, **how):
        with Collection.create(name, home=tmp_path, **how) as collection:
            return collection.info().chunking

    usual = {"max_tokens": 256, "overlap": 32}
    assert chunking("a") == {**usual, "opening": True}
    assert chunking("b", chunk=ChunkSettings(opening=False)) == usual
    assert chunking("c", model=lambda texts: np.ones((len(texts), 3), np.float32)) == usual
    assert chunking("d", dimension=3) == usual


def test_a_collection_made_without_it_stays_so(tmp_path):
    documents = [{"id": str(n), "title": "t", "text": f"{FIRST} {n} {REST}"} for n in range(3)]
    with Collection.create("old", home=tmp_path, chunk=ChunkSettings(opening=False)) as collection:
        collection.add(documents[:1])
        before = collection.search("raise an error", mode="semantic").results[0].score
        collection.reindex(chunk=ChunkSettings(64, 8))
        assert collection.info().chunking == {"max_tokens": 64, "overlap": 8}
        assert collection.search("raise an error", mode="semantic").results[0].score == pytest.approx(
            before, abs=0.01
        )
        collection.reindex(chunk=ChunkSettings(opening=True))
        assert collection.search("raise an error", mode="semantic").results[0].score < before - 0.01
