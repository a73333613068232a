"""What a person is told when a rerank step cannot be done, or not all of it: in results, JSON, commands."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from app.cli.group import cli
from app.facade.search import SearchRequest, search
from app.ui.cards import make_card
from indexing import Collection
from indexing.errors import RerankingFailed
from indexing.search import searcher
from indexing.search.rerank import Reranking, rerank
from stlib.runtime import BUNDLED_RERANKER_NAME

TEXTS = {
    "apple": "An apple is a fruit that grows on trees.",
    "bread": "Bread is baked from flour; fruit bread has fruit in it.",
    "cider": "Cider is pressed from the fruit of apple trees.",
    "dough": "Dough rests before it is baked.",
}
QUESTION = "fruit of trees"


class Lengths:
    """Prefers long passages; does something beside reading, if told so."""

    name = "lengths"

    def __init__(self, beside=lambda: None, weight=0.6) -> None:
        self.read: list[str] = []
        self.beside = beside
        self.weight = weight

    def scores(self, query, passages):
        self.read += passages
        self.beside()
        return np.asarray([len(passage) for passage in passages], np.float32)


class Says:
    """Gives the same score to every passage."""

    name = "says"

    def __init__(self, score, weight=0.6) -> None:
        self.score = score
        self.weight = weight

    def scores(self, query, passages):
        return np.full(len(passages), self.score, np.float32)


@pytest.fixture
def food(home):
    with Collection.create("food", home=home) as collection:
        collection.add({"id": id_, "text": text} for id_, text in TEXTS.items())
        yield collection


@pytest.fixture
def beir(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": QUESTION}))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tbread\t1\n")
    return folder


@pytest.fixture
def stlib(food, home, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


# --- no reranker ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("none", [None, False, ""])
def test_no_reranker_may_be_said_in_several_ways(food, none, ids):
    plain = food.search(QUESTION)
    found = food.search(QUESTION, rerank=none)
    assert (ids(found), found.reranked, found.notes) == (ids(plain), None, [])
    queries, qrels = {"q": QUESTION}, {"q": {"bread": 1}}
    assert food.evaluate(queries, qrels, rerank=none).metrics == food.evaluate(queries, qrels).metrics


def test_an_empty_name_measures_what_is_searched(stlib, beir):
    plain = json.loads(stlib("evaluate", "food", beir, "--json").stdout)
    done = stlib("evaluate", "food", beir, "--json", "--rerank", "")
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["metrics"] == plain["metrics"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--rerank-depth", "20"], "--rerank-depth does"),
        (["--rerank-budget", "300", "--rerank-depth", "50"], "--rerank-depth and --rerank-budget do"),
    ],
)
@pytest.mark.parametrize("none", [[], ["--rerank", ""]])
def test_limits_of_no_reranker_are_noticed(stlib, given, named, none):
    done = stlib("search", "food", QUESTION, *none, *given)
    assert done.exit_code == 0
    assert done.stderr == (
        f"stlib: note: {named} nothing without a reranker: add --rerank MODEL, such as "
        "--rerank stlib-rerank-en\n"
    )


def test_limits_of_no_reranker_are_noticed_in_an_evaluation(stlib, beir, monkeypatch):
    done = stlib("evaluate", "food", beir, "--rerank-depth", 20)
    assert (done.exit_code, done.stderr[:53]) == (0, "stlib: note: --rerank-depth does nothing without a re")
    assert stlib("evaluate", "food", beir).stderr == ""
    monkeypatch.setenv("STLIB_RERANK", BUNDLED_RERANKER_NAME)
    assert stlib("evaluate", "food", beir, "--rerank-depth", 20).stderr == ""


def test_what_is_served_reranks_unless_a_command_says_otherwise(food, stlib, beir):
    food.reindex(reranker=BUNDLED_RERANKER_NAME)
    served = json.loads(stlib("search", "food", QUESTION, "--json", "--rerank-depth", 2).stdout)
    assert served["reranked"] == 2
    done = stlib("search", "food", QUESTION, "--rerank-depth", 2)
    assert (done.stderr, "; 2 documents reranked" in done.stdout) == ("", True)
    assert "reranked" not in json.loads(stlib("search", "food", QUESTION, "--json", "--rerank", "").stdout)
    assert json.loads(stlib("evaluate", "food", beir, "--json").stdout)["rerank"] == BUNDLED_RERANKER_NAME
    assert json.loads(stlib("evaluate", "food", beir, "--json", "--rerank", "").stdout)["rerank"] is None
    request = SearchRequest(q=QUESTION)
    assert search(food, request).reranked == 4
    assert search(food, replace(request, rerank=True), reranker="no/such").reranked == 0


def test_figures_tell_whose_order_they_measure(stlib, beir, monkeypatch):
    assert json.loads(stlib("evaluate", "food", beir, "--json").stdout)["rerank"] is None
    assert "reranked" not in stlib("evaluate", "food", beir).stdout
    monkeypatch.setenv("STLIB_RERANK", BUNDLED_RERANKER_NAME)
    told = json.loads(stlib("evaluate", "food", beir, "--json").stdout)
    assert (told["rerank"], told["rerank_depth"]) == (BUNDLED_RERANKER_NAME, 50)
    printed = stlib("evaluate", "food", beir, "--rerank-depth", 20, "--mode", "all").stdout
    assert printed.splitlines()[-1].endswith(f", the best 20 reranked by {BUNDLED_RERANKER_NAME}")


# --- beside a writer, and within its time -----------------------------------------------------------------


def test_what_was_found_is_read_once_though_the_collection_changes(food, ids):
    def add():
        food.add([{"id": f"new {len(reranker.read)}", "text": "A fruit."}])

    reranker = Lengths(add)
    found = food.search(QUESTION, rerank=reranker)
    assert sorted(reranker.read) == sorted(TEXTS.values())
    assert (set(ids(found)), found.reranked) == (set(TEXTS), 4)


def test_a_document_that_vanishes_before_it_is_read_is_made_up_for(food, monkeypatch, ids):
    rank = searcher.rank

    def then_deleted(*arguments):
        ranking = rank(*arguments)
        monkeypatch.undo()
        food.delete(["apple"])
        return ranking

    monkeypatch.setattr(searcher, "rank", then_deleted)
    reranker = Lengths()
    found = food.search(QUESTION, 3, rerank=reranker, rerank_depth=3)
    assert sorted(reranker.read) == sorted(TEXTS[id_] for id_ in ("bread", "cider", "dough"))
    assert set(ids(found)) == {"bread", "cider", "dough"}


@pytest.mark.parametrize("budget", [math.inf, 1e308])
def test_all_the_time_in_the_world(food, budget):
    assert food.search(QUESTION, rerank=Lengths(), rerank_budget_ms=budget).reranked == 4


def test_an_evaluation_reads_as_deep_as_a_search(home, ids):
    with Collection.create("many", home=home, precision="float32") as collection:
        collection.add({"id": str(n), "text": f"fruit {n} " + "pear " * n} for n in range(130))
        found = collection.search("fruit", 130, mode="semantic", rerank=Lengths(weight=1.0), rerank_depth=130)
        assert ids(found)[0] == "129"
        place = ids(collection.search("fruit", 130, mode="semantic")).index("129")
        report = collection.evaluate(
            {"q": "fruit"},
            {"q": {"129": 1}},
            mode="semantic",
            rerank=Lengths(weight=1.0),
            rerank_depth=130,
        )
        assert (place >= 100, report.metrics["MRR@10"]) == (True, 1.0)


# --- a reranker whose numbers are none --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reranker", "reason"),
    [
        (Says(math.nan), "says gave no number for 4 of 4 passages, so its weights may be damaged"),
        (Says(math.inf), "says gave no number for 4 of 4 passages, so its weights may be damaged"),
        (Says(1.0, weight=math.nan), "says has the weight nan; a weight is a number from 0 to 1"),
        (Says(1.0, weight="much"), "says has the weight 'much'; a weight is a number from 0 to 1"),
        (Says(1.0, weight=1.5), "says has the weight 1.5; a weight is a number from 0 to 1"),
    ],
)
def test_no_answer_is_made_of_what_is_no_number(food, reranker, reason):
    before = food.search(QUESTION)
    found = food.search(QUESTION, rerank=reranker)
    assert [(r.id, r.score, r.parts) for r in found.results] == [
        (r.id, r.score, r.parts) for r in before.results
    ]
    assert (found.reranked, len(found.notes)) == (0, 1)
    assert found.notes[0].startswith(f"not reranked: {reason}")
    assert found.to_dict()["notes"] == found.notes
    with pytest.raises(RerankingFailed, match=reason.split(";")[0]):
        food.evaluate({"q": QUESTION}, {"q": {"apple": 1}}, rerank=reranker)


# --- documents that were not read -------------------------------------------------------------------------


def test_scores_fall_along_the_list_whatever_was_read(food):
    before = {result.id: result.score for result in food.search(QUESTION).results}
    for depth in (1, 2, 3):
        found = food.search(QUESTION, rerank=Lengths(), rerank_depth=depth)
        scores = [result.score for result in found.results]
        assert scores == sorted(scores, reverse=True)
        last_read = list(before)[depth - 1]
        for result in found.results[depth:]:
            distance = before[last_read] - before[result.id]
            assert result.score == pytest.approx(scores[depth - 1] - distance, abs=1e-5)
            assert result.parts["retrieval"] == pytest.approx(before[result.id])
            assert result.parts["rerank"] is None


def test_what_was_not_read_goes_on_below_as_far_apart_as_it_was():
    retrieved = np.array([30.0, 20.0, 12.0, 9.0, 9.0, 1.0], np.float32)
    result = rerank(Reranking(Lengths(), 3, weight=1.0), "q", retrieved, [["x"], ["xxx"], ["xx"]].__getitem__)
    assert result.order.tolist() == [1, 2, 0, 3, 4, 5]
    lowest = -math.sqrt(1.5)  # of 1, 3 and 2, each measured from their mean by their spread
    assert result.scores == pytest.approx([-lowest, 0, lowest, lowest - 3, lowest - 3, lowest - 11], abs=1e-5)


def test_an_order_that_was_not_touched_keeps_its_scores():
    retrieved = np.array([3.0, 2.0, 1.0], np.float32)
    result = rerank(Reranking(Lengths(), 3, budget_ms=0), "q", retrieved, lambda position: ["x"])
    assert (result.n_read, result.scores.tolist()) == (0, [3.0, 2.0, 1.0])


def test_explain_json_and_card_tell_what_was_not_read(food, stlib, ids):
    options = ("--rerank", BUNDLED_RERANKER_NAME, "--rerank-depth", 2)
    found = food.search(QUESTION, rerank=BUNDLED_RERANKER_NAME, rerank_depth=2)
    printed = " ".join(stlib("search", "food", QUESTION, *options, "--explain").stdout.split())
    assert "; what was not read follows below, as far apart as retrieval had it" in printed
    told = json.loads(stlib("search", "food", QUESTION, *options, "--json").stdout)
    assert told["reranked"] == 2
    assert [hit["id"] for hit in sorted(told["results"], key=lambda hit: -hit["score"])] == ids(found)
    for rank, result in enumerate(found.results, 1):
        read = f"{result.parts['retrieval']:.3f}, rank {result.parts['retrieval_rank']}"
        if rank > 2:
            place = f"rank {result.parts['retrieval_rank']}; {result.parts['retrieval']:.3f} = by meaning"
            assert f"{result.score:.3f}: not read; by retrieval {place}" in printed
            shares = (result.parts["rerank_share"], result.parts["retrieval_share"])
            assert shares == (None, None)
        else:
            read = f"{result.parts['retrieval_share']:.3f} ({read})"
        assert dict(make_card(rank, result).parts)["by retrieval"] == read
        assert (dict(make_card(rank, result).parts)["by reading"] == "not read") == (rank > 2)


def test_what_is_printed_adds_up(food, stlib):
    """Numbers in front of a bracket, and the sums that they are said to have."""
    printed = stlib("search", "food", QUESTION, "--rerank", BUNDLED_RERANKER_NAME, "--explain").stdout
    sums = re.findall(r"(-?[\d.]+) = ([^=;·]*\))", " ".join(printed.split()))
    assert len(sums) == 2 * len(TEXTS)
    for total, terms in sums:
        shares = [float(share) for share in re.findall(r"(-?\d+\.\d+) \(", terms)]
        assert (len(shares), sum(shares)) == (2, pytest.approx(float(total), abs=0.0015))
    for rank, result in enumerate(food.search(QUESTION, rerank=BUNDLED_RERANKER_NAME).results, 1):
        card = make_card(rank, result)
        names, shares = [name for name, _ in card.parts], [float(text.split()[0]) for _, text in card.parts]
        assert names == ["by reading", "by retrieval", "retrieval by meaning", "retrieval by words"]
        assert sum(shares[:2]) == pytest.approx(float(card.score), abs=0.0015)
        assert sum(shares[2:]) == pytest.approx(result.parts["retrieval"], abs=0.0015)


# --- commands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("search", "-k", "0"),
        ("search", "-k", "-1"),
        ("search", "--rerank-depth", "0"),
        ("search", "--rerank-depth", "-3"),
        ("search", "--rerank-budget", "-3"),
        ("search", "--rerank-budget", "nan"),
        ("evaluate", "--rerank-depth", "0"),
        ("evaluate", "--rerank-depth", "-3"),
    ],
)
def test_numbers_without_meaning_are_wrong_usage(command, option, value):
    done = CliRunner().invoke(cli, [command, "food", "beir", "--rerank", "model", option, value])
    assert done.exit_code == 2
    assert f"Invalid value for '{option}'" in done.stderr
    assert "Traceback" not in done.stderr
