"""Pages of an answer, vectors of one's own, and what an answer says of itself."""

from __future__ import annotations

import random

import numpy as np
import pytest

from indexing import ChunkSettings, Collection
from indexing.errors import BadInput
from indexing.models.encoders import load_encoder, normalise
from indexing.names import SERVING_RERANKER

WORDS = """bread yeast oven dough flour sugar honey bee flower garden rain cloud river stone iron rust water
ship sail wind moon tide owl feather night piano string song chess queen king tax spring glass sand""".split()
ENCODER = load_encoder(None)
QUESTION = "bread and honey from the garden"


class Lengths:
    """Prefers long passages."""

    name = "lengths"

    def scores(self, query, passages):
        return np.asarray([len(passage) for passage in passages], np.float32)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """600 documents, a third of them copies of others."""
    rng = random.Random(1)
    with Collection.create(
        "many", home=tmp_path_factory.mktemp("home"), chunk=ChunkSettings(32, 4)
    ) as collection:
        texts = [" ".join(rng.choices(WORDS, k=rng.randint(3, 60))) for _ in range(400)]
        collection.add(
            {"id": f"d{i}", "text": texts[i % 400], "metadata": {"third": i % 3}} for i in range(600)
        )
        yield collection


def told(found):
    return [(r.id, r.score, r.parts, r.span, r.snippet) for r in found]


@pytest.mark.parametrize(
    "options", [{}, {"rerank": Lengths()}, {"filter": "third = 1"}], ids=["plain", "reranked", "filtered"]
)
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_pages_put_together_are_the_long_answer(many, mode, options):
    long = many.search(QUESTION, 650, mode=mode, **options)
    pages, size = [], 70
    while len(page := many.search(QUESTION, size, mode=mode, offset=len(pages), **options)):
        assert (page.offset, page.seq) == (len(pages), long.seq)
        pages += told(page)
    assert pages == told(long)
    assert len({id_ for id_, *_ in pages}) == len(pages)
    if mode == "semantic":
        assert len(pages) == (200 if "filter" in options else 600)
    assert told(many.search(QUESTION, 3, mode=mode, offset=48, **options)) == pages[48:51]
    assert many.search(QUESTION, 3, mode=mode, offset=10_000, **options).results == []


def test_what_was_reranked_stays_on_top_of_all_pages(many):
    plain = [result.id for result in many.search(QUESTION, 60)]
    pages = [r for at in (0, 20, 40) for r in many.search(QUESTION, 20, offset=at, rerank=Lengths())]
    assert {r.id for r in pages[:50]} == set(plain[:50])
    assert [r.id for r in pages[50:]] == plain[50:]
    assert [r.parts["retrieval_rank"] for r in pages[50:]] == list(range(51, 61))
    far = many.search(QUESTION, 5, offset=55, rerank=Lengths())
    assert (told(far), far.reranked) == (told(pages[55:]), 50)


def test_an_approximate_engine_shows_no_document_twice(home):
    rng = random.Random(2)
    with Collection.create("c", home=home, engine="usearch", precision="binary") as collection:
        collection.add(
            {"id": str(i), "text": " ".join(rng.choices(WORDS, k=rng.randint(2, 9)))} for i in range(4500)
        )
        collection.refresh()  # as many as are no longer scanned
        for mode in ("semantic", "hybrid"):
            long = told(collection.search(QUESTION, 450, mode=mode))
            pages = [
                result
                for at in range(0, 450, 90)
                for result in told(collection.search(QUESTION, 90, mode=mode, offset=at))
            ]
            assert pages == long
            assert len({id_ for id_, *_ in pages}) == 450


def test_what_is_added_between_pages_moves_nothing(animals):
    """By meaning, where a score hangs on one document alone, the pages are those of the first one's time."""
    long = told(animals.search("who makes honey", mode="semantic"))
    first = animals.search("who makes honey", 2, mode="semantic")
    animals.add({"id": f"new{i}", "text": f"Bee {i} makes honey"} for i in range(5))
    later = animals.search("who makes honey", 2, mode="semantic", offset=2, seq=first.seq)
    assert [(id_, score, span) for id_, score, _, span, _ in told(first) + told(later)] == [
        (id_, score, span) for id_, score, _, span, _ in long
    ]
    plain = animals.search("who makes honey", 9, mode="semantic", offset=2)
    assert first[0].id in [r.id for r in plain]
    assert later.notes == [
        "the collection changed since the page before (seq 4, now 9): what is new or was changed is left "
        "out, and what was deleted may have moved others; search without seq and offset to begin anew"
    ]


@pytest.mark.parametrize("mode", ["hybrid", "keyword"])
def test_no_document_comes_twice_though_some_are_added_and_changed(animals, documents, mode):
    query = "honey bark purr breathe"
    first = animals.search(query, 2, mode=mode, filter="legs >= 0")
    changed = next(d for d in documents if d["id"] == first[0].id)
    animals.add([{"id": "new", "text": query, "metadata": {"legs": 2}}, {**changed, "metadata": {"legs": 3}}])
    later = animals.search(query, 5, mode=mode, filter="legs >= 0", offset=1, seq=first.seq)
    assert {r.id for r in later} <= {d["id"] for d in documents} - {first[0].id}
    assert animals.search(query, 5, mode=mode, filter="legs >= 0")[0].id == "new"


def test_a_page_of_the_same_seq_has_nothing_to_say(animals):
    first = animals.search("honey", 2)
    assert first.seq == 4
    assert animals.search("honey", 2, offset=2, seq=first.seq).notes == []
    animals.delete(["cat"])
    later = animals.search("honey", 2, offset=2, seq=first.seq)
    assert (later.seq, len(later), len(later.notes)) == (5, 1, 1)


# --- vectors of one's own ---------------------------------------------------------------------------------


def test_a_vector_is_searched_as_numpy_says(home, documents):
    with Collection.create("c", home=home, precision="float32") as collection:
        collection.add(documents)
        texts = [f"{d['title']}\n{d['text']}" for d in documents]
        stored = normalise(ENCODER.encode_document(texts))
        vector = np.random.default_rng(0).normal(size=stored.shape[1]) * 17
        cosines = stored @ (vector / np.linalg.norm(vector)).astype(np.float32)
        found = collection.search(vector=vector, mode="semantic")
        assert [r.id for r in found] == [documents[i]["id"] for i in np.argsort(-cosines)]
        np.testing.assert_allclose([r.score for r in found], np.sort(cosines)[::-1], atol=1e-6)
        assert found.query == ""
        assert all(r.snippet.text and not r.snippet.highlights for r in found)


def test_the_models_own_vector_answers_as_the_text_does(many):
    vector = ENCODER.encode_query([QUESTION])[0]
    for options in ({"mode": "semantic"}, {}, {"filter": "third = 2", "offset": 5}):
        by_text = many.search(QUESTION, 20, **options)
        assert told(many.search(QUESTION, 20, vector=vector, **options)) == told(by_text)
    by_vector = many.search(None, 20, vector=vector.tolist(), mode="semantic")
    assert [(r.id, r.score) for r in by_vector] == [
        (r.id, r.score) for r in many.search(QUESTION, 20, mode="semantic")
    ]


def test_hybrid_takes_words_from_the_query_and_meaning_from_the_vector(many):
    vector = ENCODER.encode_query(["chess king"])[0]
    cosines = {r.id: r.score for r in many.search("chess king", 600, mode="semantic")}
    words = {r.id: r.score for r in many.search("honey", 600, mode="keyword")}
    for result in many.search("honey", 30, vector=vector):
        assert result.parts["semantic"] == cosines[result.id]
        assert result.parts["keyword"] == pytest.approx(words.get(result.id, 0.0), abs=1e-4)


def test_no_model_is_asked_for_a_vector(animals, home):
    class Silent:
        """The same model, which embeds nothing."""

        name, dimension, fingerprint = ENCODER.name, ENCODER.dimension, ENCODER.fingerprint
        token_spans = ENCODER.token_spans

        def encode_query(self, texts, **options):
            pytest.fail("a query was embedded")

        encode_document = encode_query

    with Collection.open("animals", home=home, model=Silent()) as again:
        assert len(again.search(vector=np.ones(ENCODER.dimension), mode="semantic")) == 4


def test_a_vector_of_another_dimension_is_refused(animals, home):
    for collection in (animals, Collection.create("empty", home=home)):
        with pytest.raises(BadInput, match=r"vector of 3 numbers: those of this collection have \d+"):
            collection.search(vector=[1, 2, 3])
    with pytest.raises(BadInput, match="nothing is asked"):
        animals.search()


def test_there_is_nothing_to_rerank_a_vector_by(animals):
    vector = np.ones(ENCODER.dimension)
    found = animals.search(vector=vector, mode="semantic", rerank=Lengths())
    assert (len(found), found.reranked) == (4, 0)
    assert found.notes == ["not reranked: a reranker reads the text of a query, and there is a vector only"]


# --- what an answer says ----------------------------------------------------------------------------------


def test_an_answer_is_a_sequence_with_an_id_of_its_own(animals):
    found, again = animals.search("honey"), animals.search("honey")
    assert (len(found), list(found), found[0], found[-1]) == (
        4,
        found.results,
        found.results[0],
        found.results[-1],
    )
    assert found[1:3] == found.results[1:3]
    assert found.id != again.id
    assert int(found.id, 16) >= 0
    assert len(found.id) == 32
    told = found.to_dict()
    assert (told["id"], told["seq"], told["offset"], told["mode"]) == (found.id, 4, 0, "hybrid")


def test_a_span_is_the_passage_that_matched(home):
    filler = "Nobody wrote about the weather that day. " * 60
    text = filler + "The password is under the blue vase. " + filler
    with Collection.create("c", home=home, chunk=ChunkSettings(32, 4)) as collection:
        collection.add([{"id": "diary", "text": text}])
        for mode in ("semantic", "hybrid"):
            found = collection.search("where is the password", mode=mode)
            start, end = found[0].span
            assert "under the blue vase" in text[start:end]
            assert end - start < 400
            assert found.to_dict()["results"][0]["span"] == [start, end]
        assert collection.search("password", mode="keyword")[0].span is None


def test_a_long_query_is_cut_and_that_is_said(animals):
    found = animals.search("honey " * 5_000)
    assert (found[0].id, len(found.query)) == ("bee", 20_000)
    assert found.notes == ["only the first 20,000 of the query's 30,000 characters are used"]


def test_nothing_said_of_reranking_is_what_the_serving_has(animals):
    """A fresh collection's serving has no reranker."""
    plain = animals.search("honey", rerank=None)
    for found in (animals.search("honey"), animals.search("honey", rerank=SERVING_RERANKER)):
        assert (told(found), found.reranked) == (told(plain), None)
