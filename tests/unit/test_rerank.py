"""The rerank step of a search: order, limits, windows, and what happens when a reranker fails."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from app.cli.group import cli
from indexing import Collection
from indexing.errors import BadInput, RerankingFailed
from indexing.search.rerank import WINDOW, Reranking, passages_of, rerank

TEXTS = {
    "apple": "An apple is a fruit that grows on trees.",
    "bread": "Bread is baked from flour; fruit bread has fruit in it.",
    "cider": "Cider is pressed from the fruit of apple trees.",
    "dough": "Dough rests before it is baked.",
}


class Lengths:
    """Prefers long passages: a score that is known beforehand."""

    name = "lengths"

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, query, passages):
        self.read += passages
        return np.asarray([len(passage) for passage in passages], np.float32)


class Broken:
    name = "broken"

    def scores(self, query, passages):
        raise RuntimeError("out of\n  order")


class Nonsense:
    name = "nonsense"

    def scores(self, query, passages):
        return np.full(len(passages), np.nan)


@pytest.fixture
def food(home):
    with Collection.create("food", home=home) as collection:
        collection.add({"id": id_, "text": text} for id_, text in TEXTS.items())
        yield collection


def standardised(values):
    values = np.asarray(values, np.float64)
    return (values - values.mean()) / values.std()


@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
def test_scores_are_the_weighted_sum_of_both(food, mode, ids):
    before = food.search("fruit of trees", mode=mode)
    after = food.search("fruit of trees", mode=mode, rerank=Lengths())
    retrieved = {result.id: result.score for result in before.results}
    order = ids(before)
    read = standardised([len(TEXTS[id_]) for id_ in order])
    reading = dict(zip(order, read, strict=True))
    blend = 0.6 * read + 0.4 * standardised([retrieved[id_] for id_ in order])
    expected = dict(zip(order, blend, strict=True))
    assert ids(after) == sorted(order, key=lambda id_: -expected[id_])
    assert after.reranked == 4
    by_length = sorted(TEXTS, key=lambda id_: -len(TEXTS[id_]))
    for result in after.results:
        assert result.score == pytest.approx(expected[result.id], abs=1e-5)
        parts = result.parts
        assert (parts["rerank"], parts["rerank_rank"]) == (
            len(TEXTS[result.id]),
            by_length.index(result.id) + 1,
        )
        assert (parts["retrieval"], parts["retrieval_rank"]) == (
            pytest.approx(retrieved[result.id]),
            order.index(result.id) + 1,
        )
        both = (parts["rerank_share"], parts["retrieval_share"])
        assert both == pytest.approx(
            (0.6 * reading[result.id], expected[result.id] - 0.6 * reading[result.id])
        )
        assert (sum(both), parts["rerank_weight"]) == (pytest.approx(result.score, abs=1e-5), 0.6)
        legs = [share for name, share in parts.items() if name in ("semantic_share", "keyword_share")]
        assert sum(legs) == pytest.approx(retrieved[result.id] if mode == "hybrid" else 0)


def test_only_so_many_are_read_and_the_rest_keeps_its_order(food, ids):
    before = ids(food.search("fruit of trees"))
    found = food.search("fruit of trees", rerank=Lengths(), rerank_depth=2)
    assert set(ids(found)[:2]) == set(before[:2])
    assert ids(found)[2:] == before[2:]
    assert [result.parts["rerank"] is None for result in found.results] == [False, False, True, True]
    assert found.reranked == 2


def test_more_are_read_than_are_shown(food):
    reranker = Lengths()
    found = food.search("fruit of trees", 1, rerank=reranker)
    assert (len(found.results), found.reranked, len(reranker.read)) == (1, 4, 4)


def test_no_time_at_all_leaves_the_order(food, ids):
    before = food.search("fruit of trees")
    found = food.search("fruit of trees", rerank=Lengths(), rerank_budget_ms=0)
    assert (ids(found), found.reranked) == (ids(before), 0)
    assert found.notes == ["time was up after 0 of 4 documents were reranked"]


def test_no_time_is_spent_on_documents_that_are_not_read(food, monkeypatch):
    chosen = []

    def counted(title, text, spots):
        chosen.append(text)
        return passages_of(title, text, spots)

    monkeypatch.setattr("indexing.search.candidates.passages_of", counted)
    food.search("fruit of trees", rerank=Lengths(), rerank_budget_ms=0)
    assert chosen == []
    food.search("fruit of trees", rerank=Lengths(), rerank_depth=3)
    assert len(chosen) == 3


def test_half_a_character_in_the_query_reaches_no_reranker(food):
    asked = []

    class Asked(Lengths):
        def scores(self, query, passages):
            asked.append(query.encode())  # as tokenizers do
            return super().scores(query, passages)

    found = food.search("fruit \ud800 of trees", rerank=Asked())
    assert (len(asked), found.reranked, found.notes) == (1, 4, [])


def test_when_the_time_is_over_what_was_read_comes_first(monkeypatch):
    clock = iter([0.0, 0.0, 0.001, 0.9])
    # The name in that module alone: others read the time, too.
    monkeypatch.setattr("indexing.search.rerank.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    retrieved = np.arange(30, 0, -1).astype(np.float32)
    passages = [["x" * n] for n in range(1, 31)]
    result = rerank(Reranking(Lengths(), 50, 500, weight=1.0), "q", retrieved, passages.__getitem__)
    assert result.n_read == 9  # one, then a portion of eight, before the clock said so
    assert result.order.tolist() == [*range(8, -1, -1), *range(9, 30)]
    assert np.isnan(result.read[9:]).all()
    assert result.scores[9:] == pytest.approx(result.scores[8] - np.arange(1, 22), abs=1e-4)


def test_equal_scores_keep_their_order():
    result = rerank(Reranking(Lengths()), "q", np.ones(5, np.float32), lambda position: ["same"])
    assert result.order.tolist() == [0, 1, 2, 3, 4]


def test_a_short_document_is_read_whole_and_its_title_first():
    assert passages_of("Whales", "They breathe air.", []) == ["Whales. They breathe air."]
    assert passages_of("Whales", "Whales breathe air.", [3]) == ["Whales breathe air."]
    assert passages_of("", "", []) == [""]


def test_a_long_document_is_read_around_its_best_spots():
    text = "".join(f"w{number:05d} " for number in range(3000))
    windows = passages_of("", text, [10_000, 10_100])
    assert len(windows) == 2  # the two spots share a window; the other is the beginning
    assert "w01428" in windows[0]
    assert windows[1].startswith("w00000")
    assert all(len(window) <= WINDOW for window in windows)
    assert all(window.startswith("w") for window in windows)


def test_a_long_document_counts_by_its_best_window(home):
    filler = "Nothing of interest happens here. " * 200
    with Collection.create("long", home=home) as collection:
        collection.add([{"id": "long", "text": filler + "The password is swordfish. " + filler}])

        class Looks:
            name = "looks"

            def scores(self, query, passages):
                return np.asarray(["swordfish" in passage for passage in passages], np.float32)

        found = collection.search("what is the password", rerank=Looks())
        assert found.results[0].parts["rerank"] == 1.0


@pytest.mark.parametrize(
    ("reranker", "reason"),
    [
        (Broken(), "broken failed: RuntimeError: out of order"),
        (Nonsense(), "nonsense gave no number for 4 of 4 passages"),
        ("no/such/folder", "there is no folder or file 'no/such/folder'"),
        (7, "reranker of type int: give a folder"),
    ],
)
def test_a_reranker_that_fails_leaves_the_answer(food, reranker, reason, monkeypatch, ids):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = food.search("fruit of trees")
    found = food.search("fruit of trees", rerank=reranker)
    assert (ids(found), found.reranked) == (ids(before), 0)
    assert len(found.notes) == 1
    assert found.notes[0].startswith("not reranked: ")
    assert reason in found.notes[0]
    with pytest.raises(RerankingFailed):
        food.evaluate({"q": "fruit"}, {"q": {"apple": 1}}, rerank=reranker)


@pytest.mark.parametrize(
    "limits",
    [{"rerank_depth": 0}, {"rerank_depth": 1.5}, {"rerank_budget_ms": -1}, {"rerank_budget_ms": "5"}],
)
def test_limits_without_meaning_are_refused(food, limits):
    with pytest.raises(BadInput, match=next(iter(limits))):
        food.search("fruit", rerank=Lengths(), **limits)


def test_an_evaluation_measures_the_reranked_order(food, ids):
    queries, qrels = {"q": "fruit of trees"}, {"q": {"bread": 1}}
    place = ids(food.search(queries["q"], rerank=Lengths())).index("bread") + 1
    report = food.evaluate(queries, qrels, rerank=Lengths())
    assert report.metrics["MRR@10"] == 1 / place


def test_a_filter_holds_for_what_is_reranked(home, ids):
    with Collection.create("years", home=home) as collection:
        collection.add(
            {"id": str(year), "text": f"fruit {'very ' * year}", "metadata": {"year": year}}
            for year in range(9)
        )
        found = collection.search("fruit", filter="year < 3", rerank=Lengths())
        assert sorted(ids(found)) == ["0", "1", "2"]


def test_the_command_says_why_nothing_was_reranked(food, home, monkeypatch, ids):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = ["search", "food", "fruit of trees", "--home", str(home), "--rerank", "no/such", "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert "not reranked: " in result.stderr
    told = json.loads(result.stdout)
    assert [hit["id"] for hit in told["results"]] == ids(food.search("fruit of trees"))
    assert told["reranked"] == 0
    plain = CliRunner().invoke(cli, ["search", "food", "fruit of trees", "--home", str(home), "--json"])
    assert "reranked" not in json.loads(plain.stdout)
