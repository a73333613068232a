"""Weights of the legs and a reranker that a serving brings: every search has them that says nothing else."""

from __future__ import annotations

import math

import pytest

from indexing.errors import BadInput, StorageError
from indexing.names import BUNDLED_RERANKER
from indexing.search.settings import check_ranking
from indexing.search.stored_ranking import read_ranking

QUESTION = "music and law"


def told(found):
    return [(r.id, r.score, r.parts) for r in found]


def test_weights_multiply_the_shares_of_their_legs(notes):
    before = {r.id: r for r in notes.search(QUESTION, 300)}
    first = notes.search(QUESTION).serving
    report = notes.reindex(ranking={"weights": {"keyword": 0.25, "semantic": 2}})
    assert report.work == "none"
    found = notes.search(QUESTION, 300)
    assert set(before) == {r.id for r in found}
    for result in found:
        parts, old = result.parts, before[result.id].parts
        assert parts["keyword_share"] == 0.25 * old["keyword_share"]
        assert parts["semantic_share"] == 2 * old["semantic_share"]
        assert result.score == pytest.approx(parts["keyword_share"] + parts["semantic_share"], abs=1e-5)
        assert (parts["semantic"], parts["keyword"]) == (old["semantic"], old["keyword"])
    assert found.serving != first
    notes.rollback()
    assert told(notes.search(QUESTION, 300)) == [(r.id, r.score, r.parts) for r in before.values()]


def test_a_weight_changes_no_mode_of_a_single_leg(notes):
    before = [told(notes.search(QUESTION, mode=mode)) for mode in ("semantic", "keyword")]
    notes.reindex(ranking={"weights": {"keyword": 0.0, "semantic": 3}})
    assert [told(notes.search(QUESTION, mode=mode)) for mode in ("semantic", "keyword")] == before
    assert notes.search(QUESTION, 5)[0].id == before[0][0][0]


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ({"weights": {"tokens": 1}}, "there is no such leg; the legs are semantic, keyword"),
        ({"weights": {"keyword": -1}}, "weight -1 of keyword: give a number, 0 or more"),
        ({"weights": {"keyword": math.nan}}, "weight nan of keyword"),
        ({"weights": {"keyword": math.inf}}, "weight inf of keyword"),
        ({"weights": {"keyword": True}}, "weight True of keyword"),
        ({"weights": {"keyword": "1"}}, "weight '1' of keyword"),
        ({"weights": {"keyword": 0, "semantic": 0.0}}, "every leg has weight 0"),
        ({"weights": [1, 2]}, r"weights \[1, 2\]: give a number for each leg"),
        ({"keyword": 1}, "ranking .*: give weights of legs"),
        ("keyword", "ranking 'keyword': give weights"),
    ],
)
def test_what_is_no_weight_is_refused_before_it_is_stored(notes, ranking, message):
    with pytest.raises(BadInput, match=message):
        notes.reindex(ranking=ranking)
    assert len(notes.servings()) == 1
    with pytest.raises(StorageError, match="the catalog is damaged: "):
        read_ranking(ranking)


def test_weights_that_are_not_given_are_one():
    assert read_ranking({}).weights == {}
    assert check_ranking({"weights": {"keyword": 2}}) == {"weights": {"keyword": 2.0}}


def test_nothing_said_is_reranked_by_the_servings_reranker(notes):
    plain = notes.search(QUESTION)
    by_hand = notes.search(QUESTION, rerank=BUNDLED_RERANKER, rerank_depth=20)
    queries, qrels = {"q": QUESTION}, {"q": {plain[2].id: 1}}
    measured = notes.evaluate(queries, qrels, rerank=BUNDLED_RERANKER, rerank_depth=20)
    notes.reindex(reranker=BUNDLED_RERANKER)
    found = notes.search(QUESTION, rerank_depth=20)
    assert (told(found), found.reranked, found.notes) == (told(by_hand), 20, [])
    report = notes.evaluate(queries, qrels, rerank_depth=20)
    assert (report.metrics, report.rerank) == (measured.metrics, BUNDLED_RERANKER)
    for none in (None, False, ""):
        found = notes.search(QUESTION, rerank=none)
        assert (told(found), found.reranked) == (told(plain), None)
    assert notes.evaluate(queries, qrels, rerank=None).rerank is None
    notes.rollback()
    assert notes.search(QUESTION).reranked is None
