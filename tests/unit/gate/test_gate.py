"""The gate on rankings that are known: verdicts, looks, and what is told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from app.feedback.judged import JudgedSet
from app.statistics.randomisation import paired_randomisation
from app.tuning.gate.guard import Guard
from app.tuning.gate.model import FAILED, PASSED, UNDECIDED, GateReport
from app.tuning.gate.run import run_gate
from app.tuning.runs import keep_questions, read_looks, seen_questions
from indexing.errors import BadInput

GAIN = 1 / math.log2(3)  # NDCG of one answer on the second place


def test_a_better_candidate_passes(planted, location):
    collection, judged = planted([(2, 1)] * 20 + [(1, 1)] * 10 + [(1, 2)] * 2)
    report = run_gate(location, collection, 2, judged, who="ann")
    differences = np.array([1 - GAIN] * 20 + [0] * 10 + [GAIN - 1] * 2)
    assert report.verdict == PASSED
    assert report.p == paired_randomisation(differences) <= report.alpha == pytest.approx(0.0303964, abs=1e-7)
    assert (report.wins, report.losses, report.ties) == (20, 2, 10)
    change = report.metrics["NDCG@10"]
    assert change.before == pytest.approx((20 * GAIN + 10 + 2) / 32)
    assert change.difference == pytest.approx(differences.mean())
    assert report.metrics["MRR@10"].difference == pytest.approx((20 * 0.5 - 2 * 0.5) / 32)
    assert report.metrics["Recall@10"].difference == 0
    assert change.low < change.difference < change.high
    assert report.judged_at_10 == {"before": 1.0, "after": 1.0}
    assert collection.verdicts[2]["verdict"] == PASSED
    assert (
        "On 32 questions it never saw, the candidate answers better on 20, worse on 2 and the same on 10."
        in report.sentences
    )
    assert report.sentences[0].startswith("Passed")


@pytest.mark.parametrize("moves", [[(1, 2)] * 20, [(1, 1)] * 20, [(2, 1)] * 5 + [(1, 1)] * 60])
def test_what_is_not_shown_to_be_better_fails(planted, location, moves):
    collection, judged = planted(moves)
    report = run_gate(location, collection, 2, judged)
    assert report.verdict == FAILED
    assert report.p > report.alpha
    assert collection.verdicts[2]["verdict"] == FAILED


def test_five_questions_that_differ_can_never_pass(planted, location):
    collection, judged = planted([(2, 1)] * 5)
    report = run_gate(location, collection, 2, judged)
    assert report.p == 1 / 32 > report.alpha
    assert "Too few answers differ for any result to pass: judge more questions." in report.notes


def test_a_report_can_be_kept_as_json(planted, location):
    collection, judged = planted([(3, 1)] * 12 + [(0, 4)] * 9)
    report = run_gate(location, collection, 2, judged)
    kept = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert GateReport.from_dict(kept) == report
    (look,) = read_looks(location, collection.uuid)
    assert GateReport.from_dict(look.report) == report
    assert (look.p, look.verdict) == (report.p, report.verdict)
    with pytest.raises(ValueError, match="no report"):
        GateReport.from_dict({"verdict": "passed"})


def test_one_question_alone_can_be_kept_as_json(planted, location):
    collection, judged = planted([(2, 1)])
    report = run_gate(location, collection, 2, judged)
    assert report.smallest_detectable is None
    json.dumps(report.to_dict(), allow_nan=False)


def test_each_look_spends_less(planted, location):
    collection, judged = planted([(2, 1)] * 8 + [(1, 2)] * 2)
    reports = [run_gate(location, collection, 2, judged) for _ in range(3)]
    assert [report.look for report in reports] == [1, 2, 3]
    assert [report.alpha for report in reports] == pytest.approx(
        [0.05 * 6 / math.pi**2 / i**2 for i in (1, 2, 3)]
    )
    assert len({report.p for report in reports}) == 1
    assert "Each further look may spend less" in " ".join(reports[2].sentences)


def test_new_questions_renew_the_budget(planted, location):
    collection, judged = planted([(2, 1)] * 110)
    first = JudgedSet(judged.questions[:50])
    assert run_gate(location, collection, 2, first).epoch == 1
    few = JudgedSet(judged.questions[:90])  # 40 new ones buy nothing
    report = run_gate(location, collection, 2, few)
    assert (report.epoch, report.look, report.metrics["NDCG@10"].questions) == (1, 2, 90)
    report = run_gate(location, collection, 2, judged)  # 20 new ones, still the same budget
    assert (report.epoch, report.look, report.metrics["NDCG@10"].questions) == (1, 3, 110)
    assert len(seen_questions(location, collection.uuid)) == 110


def test_a_fresh_budget_is_spent_on_fresh_questions_alone(planted, location):
    collection, judged = planted([(1, 2)] * 50 + [(2, 1)] * 50)
    run_gate(location, collection, 2, JudgedSet(judged.questions[:50]))
    report = run_gate(location, collection, 2, judged)
    assert (report.epoch, report.look) == (2, 1)
    assert (report.wins, report.losses) == (50, 0)
    assert any("50 questions of earlier looks were left out" in note for note in report.notes)
    assert run_gate(location, collection, 2, judged).look == 2  # and now all have been seen


def test_a_question_without_an_answer_takes_no_look(planted, location):
    collection, judged = planted([(2, 1)] * 10, side="train")
    with pytest.raises(BadInput, match="no question of the held-out side"):
        run_gate(location, collection, 2, judged)
    with pytest.raises(BadInput, match="serving 1 is live"):
        run_gate(location, collection, 1, judged)
    with pytest.raises(BadInput, match="no serving 7"):
        run_gate(location, collection, 7, judged)
    assert read_looks(location, collection.uuid) == []


def test_unjudged_answers_make_it_undecided(planted, location):
    """The candidate loses the answer, and shows documents that nobody judged in its place."""
    collection, judged = planted([(1, 2)] * 20)
    for id_, ranking in collection.ranking[2].items():
        collection.ranking[2][id_] = ["unseen", "unseen 2", "answer", *ranking[3:10]]
    report = run_gate(location, collection, 2, judged)
    assert report.verdict == UNDECIDED
    assert report.judged_at_10["before"] == 1.0
    assert report.judged_at_10["after"] == pytest.approx(0.8)
    assert report.bounds["worst"] <= report.metrics["NDCG@10"].difference < 0 < report.bounds["best"]
    assert 0 < len(report.to_judge) <= 40
    assert {document for _, _, document in report.to_judge} <= {"unseen", "unseen 2"}
    assert report.sentences[0].startswith(f"Undecided: judge these {len(report.to_judge)} answers")


def test_unjudged_answers_that_could_not_turn_it_leave_the_verdict(planted, location):
    collection, judged = planted([(1, 2)] * 60)
    for id_ in list(collection.ranking[2])[:3]:  # of three questions the candidate is unknown
        collection.ranking[2][id_] = ["answer", *(f"unseen {at}" for at in range(9))]
    report = run_gate(location, collection, 2, judged)
    assert report.judged_at_10["before"] - report.judged_at_10["after"] >= 0.03
    assert (report.verdict, report.to_judge) == (FAILED, ())


def test_as_few_judgments_on_both_sides_are_no_doubt(planted, location):
    collection, judged = planted([(3, 1)] * 20, judged_others=False)
    report = run_gate(location, collection, 2, judged)
    assert report.judged_at_10 == pytest.approx({"before": 0.1, "after": 0.1})
    assert report.verdict == PASSED


@pytest.mark.parametrize(("losing", "held"), [(0, True), (12, False)])
def test_the_guard_must_not_get_worse(planted, location, losing, held):
    collection, judged = planted([(2, 1)] * 30)
    guarded = {f"g{at}": {"answer": 1} for at in range(60)}
    for at, id_ in enumerate(guarded):
        collection.ranking[1][id_] = ["answer", "other"]
        collection.ranking[2][id_] = ["other", "answer"] if at < losing else ["answer", "other"]
    guard = Guard("kept/test", dict.fromkeys(guarded, "text"), guarded)
    report = run_gate(location, collection, 2, judged, guard=guard)
    assert report.guard.held == held
    assert report.guard.difference == pytest.approx(losing / 60 * (GAIN - 1))
    assert report.verdict == (PASSED if held else FAILED)
    assert collection.verdicts[2]["guard"] == held
    assert any("guard set 'kept/test'" in sentence for sentence in report.sentences)


def test_a_guard_of_few_questions_is_refused():
    with pytest.raises(BadInput, match="give 10 or more"):
        Guard("few", {"a": "text"}, {"a": {"d": 1}})


def test_returning_and_new_questions_are_told_apart(planted, location):
    collection, judged = planted([(2, 1)] * 12 + [(1, 1)] * 8)
    questions = [
        type(one)(one.id, one.text, one.side, at < 12, one.grades) for at, one in enumerate(judged.questions)
    ]
    report = run_gate(location, collection, 2, JudgedSet(tuple(questions)))
    assert (report.returning.questions, report.new.questions) == (12, 8)
    assert report.returning.difference == pytest.approx(1 - GAIN)
    assert report.new.difference == 0


def test_past_questions_are_replayed(planted, location):
    collection, judged = planted([(2, 1)] * 12)
    for serving, answers in ((1, ["a", "b"]), (2, ["a", "c"])):
        collection.ranking[serving] |= {"one": answers, "two": ["x", "y"] if serving == 1 else ["z", "y"]}
    report = run_gate(location, collection, 2, judged, past=["one", "two", "one", " "])
    assert report.replay.questions == 2
    assert report.replay.changed_first == 0.5
    assert report.replay.changed_ten == 0.5


def test_the_largest_changes_stand_first(planted, location):
    collection, judged = planted([(2, 1), (0, 1), (1, 1)])
    report = run_gate(location, collection, 2, judged)
    assert [one.id for one in report.questions] == ["00001", "00000", "00002"]
    first = report.questions[0]
    assert (first.before, first.after) == (0.0, 1.0)
    assert first.answers_after[0] == "answer"
    assert first.answers_before == ("00001-0", "00001-1", "00001-2")


def test_few_questions_are_cross_fitted(planted, location):
    """What is learned is by how many ranks to move an answer up: what is seen in the others."""
    collection, judged = planted([(3, 2)] * 20 + [(2, 1)] * 20, side="train")
    learned_from = []

    def refit(questions):
        ids = {one.id for one in questions}
        learned_from.append(ids)
        return lambda question: [] if question.id in ids else collection.ranking[2][question.id]

    report = run_gate(location, collection, 2, judged, refit=refit)
    assert report.cross_fitted
    assert report.folds == len(learned_from) == 5
    assert [len(ids) for ids in learned_from] == [32] * 5  # and no question was answered by its own fold
    differences = np.array([GAIN - 0.5] * 20 + [1 - GAIN] * 20)
    assert report.p == paired_randomisation(differences, inflation=2.25)
    assert report.metrics["NDCG@10"].difference == pytest.approx(differences.mean())
    assert collection.asked == [1]  # the candidate itself is not measured on what it learned from
    assert "On 40 questions, each answered by what was learned without it in 5 parts," in report.sentences[1]
    assert any("fewer than 200 judged questions" in note for note in report.notes)


def test_a_part_of_which_nothing_is_learned_is_answered_by_what_is_live(planted, location):
    collection, judged = planted([(2, 1)] * 20)
    report = run_gate(location, collection, 2, judged, refit=lambda questions: None)
    assert (report.verdict, report.ties, report.p) == (FAILED, 20, 1.0)


def test_two_hundred_questions_are_not_cross_fitted(planted, location):
    collection, held_out = planted([(2, 1)] * 66)
    _, train = planted([(1, 1)] * 200, side="train")
    judged = JudgedSet((*held_out.questions, *train.questions[66:]))
    report = run_gate(location, collection, 2, judged, refit=lambda questions: None)
    assert not report.cross_fitted
    assert report.metrics["NDCG@10"].questions == report.wins == 66


def test_near_questions_stay_in_one_fold(planted, location):
    collection, judged = planted([(2, 1)] * 12)
    alike = "how do I sort a list of {} in place?"
    texts = [alike.format("numbers"), alike.format("number"), *(one.text for one in judged.questions[2:])]
    questions = [
        type(one)(one.id, text, one.side, False, one.grades)
        for one, text in zip(judged.questions, texts, strict=True)
    ]
    seen = []

    def refit(questions):
        seen.append({one.id for one in questions})
        return lambda one: ["answer"]

    run_gate(location, collection, 2, JudgedSet(tuple(questions)), refit=refit)
    assert all(("00000" in ids) == ("00001" in ids) for ids in seen)
    assert any("00000" not in ids for ids in seen)


def test_questions_that_what_is_live_learned_from_test_nothing(planted, location):
    """Its memory knows their answers, and a candidate that is made of it has the same memory."""
    collection, judged = planted([(2, 1)] * 20 + [(1, 2)] * 4)
    keep_questions(location, collection.uuid, 1, [f"{number:05}" for number in range(18)])
    report = run_gate(location, collection, 2, judged)
    assert (report.wins, report.losses, report.ties, report.verdict) == (2, 4, 0, FAILED)
    assert "learned from 18 of the 24 judged questions" in report.notes[0]
    assert seen_questions(location, collection.uuid) == {f"{number:05}" for number in range(18, 24)}
    keep_questions(location, collection.uuid, 1, [f"{number:05}" for number in range(24)])
    with pytest.raises(BadInput, match="what is live has learned from all 24 judged questions"):
        run_gate(location, collection, 2, judged)
    assert len(read_looks(location, collection.uuid)) == 1
