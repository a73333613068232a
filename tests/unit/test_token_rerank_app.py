"""Reranking by vectors of tokens from the command line, the page, reports and jobs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from app.cli.group import cli
from app.evaluation_job import EvaluationChoices
from app.facade.reports import rerankers_to_choose
from app.facade.search import SearchRequest, offered_reranker, search
from app.jobs.kinds.evaluate import describe
from app.report.making import make_report
from app.report.systems import ReportChoices
from app.settings import Location, absolute_model, absolute_reranker
from indexing import Collection
from indexing.errors import BadInput
from indexing.names import BUNDLED_RERANKER
from tests.toy_tokens import save_letters

TEXTS = {"apple": "An apple grows on trees.", "bread": "Bread is baked.", "cider": "Cider is apple juice."}
QUESTION = "apple trees"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A location with a collection that has vectors of tokens, and judgments of it."""
    folder = tmp_path_factory.mktemp("made")
    with Collection.create("food", home=folder / "home", tokens=save_letters(folder / "letters")) as food:
        food.add({"id": id_, "text": text} for id_, text in TEXTS.items())
    (folder / "judged" / "qrels").mkdir(parents=True)
    (folder / "judged" / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": QUESTION}))
    (folder / "judged" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tapple\t1\n")
    return Location(folder / "home"), folder / "judged"


@pytest.fixture
def food(made, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(made[0].home))
    with Collection.open("food", home=made[0].home) as collection:
        yield collection


def stlib(*arguments):
    done = CliRunner().invoke(cli, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done


def test_commands_take_the_name(food, made, monkeypatch, ids):
    expected = ids(food.search(QUESTION, rerank="tokens"))
    told = json.loads(stlib("search", "food", QUESTION, "--json", "--rerank", "tokens").stdout)
    assert (told["reranked"], [one["id"] for one in told["results"]]) == (3, expected)
    assert "; 3 documents reranked" in stlib("search", "food", QUESTION, "--rerank", "tokens").stdout
    told = json.loads(stlib("evaluate", "food", made[1], "--rerank", "tokens", "--json").stdout)
    assert (told["rerank"], told["rerank_depth"]) == ("tokens", 50)
    monkeypatch.setenv("STLIB_RERANK", "tokens")
    assert json.loads(stlib("search", "food", QUESTION, "--json").stdout)["reranked"] == 3


def test_the_page_offers_it_where_the_collection_has_it(food, home, monkeypatch, ids):
    assert offered_reranker(food) == "tokens"
    assert rerankers_to_choose(food) == ["", BUNDLED_RERANKER, "tokens"]
    found = search(food, SearchRequest(q=QUESTION, rerank=True), reranker=offered_reranker(food))
    assert ids(found) == ids(food.search(QUESTION, rerank="tokens"))
    monkeypatch.setenv("STLIB_RERANK", "")
    assert offered_reranker(food) is None
    monkeypatch.delenv("STLIB_RERANK")
    with Collection.create("plain", home=home) as plain:
        assert offered_reranker(plain) == BUNDLED_RERANKER
        assert rerankers_to_choose(plain) == ["", BUNDLED_RERANKER]


def test_a_report_compares_it(food, made):
    location, judged = made
    choices = ReportChoices(rerankers=("", "tokens"))
    report = make_report(location, "food", str(judged), "test", choices)
    fingerprint = food._session.live().generation.beside["tokens"]["fingerprint"]
    named = {one.reranker: one.fingerprints.get("reranker") for one in report.systems}
    assert named == {"": None, "tokens": fingerprint}
    choices = ReportChoices(rerankers=("tokens",), precisions=("binary",))
    with pytest.raises(BadInput, match="measured on a copy, which has no vectors of tokens"):
        make_report(location, "food", str(judged), "test", choices)


def test_a_folder_of_that_name_is_another_thing(tmp_path, monkeypatch, made):
    for name in ("tokens", BUNDLED_RERANKER, "mine"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute_reranker("tokens") == "tokens"
    assert absolute_reranker("./tokens") == absolute_model("tokens") == str(tmp_path / "tokens")
    assert absolute_reranker(BUNDLED_RERANKER) == BUNDLED_RERANKER
    assert (absolute_reranker("mine"), absolute_reranker("no/such")) == (str(tmp_path / "mine"), "no/such")
    described = describe("food", made[1], EvaluationChoices("test", (), "tokens"))
    assert described["choices"]["rerank"] == "tokens"


def test_a_search_needs_no_torch(food):
    program = (
        "import sys; from indexing import Collection; found = Collection.open('food').search('apple trees',"
        " rerank='tokens'); print(found.reranked, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]
