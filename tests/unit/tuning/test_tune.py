"""A tune from judgments to a candidate that the gate has tested, by Python and by the command."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from app.cli.group import cli
from app.facade.caller import Caller, NotAllowed, local_caller
from app.facade.feedback import import_feedback
from app.facade.tuning import estimate_seconds, list_runs, tune
from app.facade.tuning_jobs import start_tuning
from app.settings import Location
from app.tuning.report import LEARN, READ, TEST
from app.tuning.runs import questions_of
from indexing import Collection
from indexing.errors import BadInput

ME = local_caller()
TOPICS = ("bicycles", "violins", "carpets", "telescopes", "tents", "kayaks", "teapots", "clocks")
FORMS = (
    "how do I choose {}",
    "{} for beginners",
    "the long history of {}",
    "what would new {} cost",
    "repairing broken {} at home",
    "where people sell used {}",
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The right answer of each topic has no word of its questions."""
    home = tmp_path_factory.mktemp("tune")
    with Collection.create("topics", home=home) as collection:
        collection.add({"id": f"{a}-{b}", "text": f"{a} and {b}"} for a in TOPICS for b in TOPICS)
        collection.add(
            {"id": f"form-{at}", "text": f"page {at} of the ledger, signed by the clerk"} for at in range(8)
        )
    rows = []
    for at, topic in enumerate(TOPICS):
        for form in FORMS:
            wrong = [f"{form.format(topic)},{topic}-{other},0" for other in TOPICS]
            rows += [f"{form.format(topic)},form-{at},2", *wrong]
    (home / "judged.csv").write_text("\n".join(["question,document,grade", *rows]) + "\n")
    import_feedback(ME, Location(home), "topics", home / "judged.csv")
    return Location(home)


@pytest.fixture(scope="module")
def tuned(judged):
    steps = []
    return tune(ME, judged, "topics", "memory", "if-better", progress=steps.append), steps


def test_a_tune_makes_a_candidate_that_the_gate_has_tested(judged, tuned):
    report, steps = tuned
    assert [one.lever for one in report.levers if one.kept] == ["memory"]
    assert report.gate is not None and report.gate.candidate == report.candidate
    assert report.gate.verdict == "passed" and report.promoted
    assert report.gate.metrics["NDCG@10"].difference > 0.2
    assert {step.stage for step in steps} == {READ, LEARN, TEST}
    with Collection.open("topics", home=judged.home) as collection:
        assert next(one for one in collection.servings() if one.live).id == report.candidate
        found = collection.search("which tents are cheap", k=10)
        assert "form-4" in [result.id for result in found.results]


def test_a_tune_is_kept_with_its_questions_and_what_it_tried(judged, tuned):
    report, _ = tuned
    run = list_runs(ME, judged, "topics")[0]
    assert (run.lever, run.candidate, run.promoted) == ("memory", report.candidate, True)
    assert run.details["levers"][0]["lever"] == "memory" and run.details["levers"][0]["kept"]
    assert max(one["gain"] for one in run.details["curves"]) >= run.details["levers"][0]["gain"] > 0
    with Collection.open("topics", home=judged.home) as collection:
        assert len(questions_of(judged, collection.uuid, report.candidate)) == report.questions


def test_the_command_ends_well_whether_something_was_promoted_or_not(judged, tuned):
    called = CliRunner().invoke(
        cli, ["tune", "topics", "--lever", "ranking", "--home", str(judged.home), "--json"]
    )
    assert called.exit_code == 0, called.output
    told = json.loads(called.stdout)
    assert (told["lever"], told["promoted"]) == ("ranking", False)
    assert (told["candidate"] is None) == (told["gate"] is None)
    again = CliRunner().invoke(cli, ["tune", "topics", "--lever", "memory", "--home", str(judged.home)])
    assert again.exit_code == 0 and "gain in cross-validation" in again.output


def test_who_may_not_improve_tunes_nothing(judged):
    visitor = Caller("eve", rights=frozenset({"search"}))
    with pytest.raises(NotAllowed):
        tune(visitor, judged, "topics")
    with pytest.raises(NotAllowed):
        start_tuning(visitor, judged, "topics")
    assert min(estimate_seconds(visitor, judged, "topics").values()) > 0


def test_what_cannot_be_is_said(judged, tmp_path):
    with pytest.raises(BadInput, match="lever 'magic'"):
        tune(ME, judged, "topics", "magic")
    with pytest.raises(BadInput, match="promote 'always'"):
        tune(ME, judged, "topics", promote="always")
    with Collection.create("new", home=tmp_path / "home"):
        pass
    with pytest.raises(BadInput, match="nobody called an answer right yet"):
        tune(ME, Location(tmp_path / "home"), "new")


def test_what_is_live_is_not_tested_by_what_it_learned_from(judged, tuned):
    report = tune(ME, judged, "topics", "memory")
    assert (report.candidate, report.gate, report.promoted) == (None, None, False)
    assert "judge answers to new questions first" in report.sentence
