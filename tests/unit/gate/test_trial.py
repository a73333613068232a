"""Trials: votes of visits by hand, and a real one from the first search to the promotion."""

from __future__ import annotations

import json
import time

import pytest

import app.facade.gate
from app.cli import main
from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import record, record_click
from app.facade.gate import end_trial, gate_report, promote, rollback, settle_trial, start_trial, trial_report
from app.facade.search import SearchRequest, search
from app.feedback.model import Event, Impression, Shown
from app.tuning.runs import finish_look, latest_trial, take_look
from app.tuning.trial.report import BOUND, CANDIDATE, GOES_ON, LIVE, decide
from app.tuning.trial.votes import IDLE_SECONDS, MOST_OF_ONE, count_votes
from indexing.errors import BadInput, GateNotPassed, StorageError
from indexing.search.settings import Boost, SearchSettings

DAY = 86_400.0
ANN = Caller("ann", "page", "visit of ann")


def impression(id_, at, session, teams, *, who="", question="q", trial=(1, 2)):
    """An answer whose documents a, b, c ... were picked by `teams`."""
    shown = tuple(Shown("abcdefghij"[rank], rank + 1, 1.0, team) for rank, team in enumerate(teams))
    return Impression(
        id=id_, collection="u", at=at, who=who, session=session, surface="page", query=question,
        query_hash=question, filter=None, mode="hybrid", serving=1, trial=trial, seq=1, k=10, offset=0,
        reranker=None, reranked=None, seed=session, took_ms=1.0, hashed=False, shown=shown,
    )  # fmt: skip


def clicks(id_, documents):
    return [Event(0, "u", id_, document, "click", 0.0, "", "") for document in documents]


def choices(impressions, events, now=10 * DAY):
    return [vote.choice for vote in count_votes(impressions, events, [], (1, 2), 0.0, now).votes]


def test_the_serving_that_picked_more_of_what_was_clicked_wins_the_visit():
    one = impression("i", 1.0, "s", [1, 2, 2, 1])
    assert choices([one], clicks("i", "bc")) == [1]
    assert choices([one], clicks("i", "ad")) == [-1]
    assert choices([one], clicks("i", "ab")) == [0]
    assert choices([one], clicks("i", "bbbba")) == [0]  # a document counts once
    assert choices([one], []) == [0]
    assert choices([one], clicks("another", "b") + clicks("i", "z")) == [0]


def test_a_visit_has_one_vote_however_much_is_clicked():
    asked = [impression(f"i{at}", float(at), "s", [1, 2], question=f"q{at}") for at in range(9)]
    events = [event for at in range(9) for event in clicks(f"i{at}", "b" if at < 5 else "a")]
    assert choices(asked, events) == [1]


def test_one_question_counts_once_in_a_visit():
    """Asked three times with the same result, against two other questions."""
    same = [impression(f"s{at}", float(at), "s", [1, 2]) for at in range(3)]
    others = [impression(f"o{at}", 9.0, "s", [1, 2], question=f"other {at}") for at in range(2)]
    events = [
        *clicks("s0", "b"),
        *clicks("s1", "b"),
        *clicks("s2", "b"),
        *clicks("o0", "a"),
        *clicks("o1", "a"),
    ]
    assert choices([*same, *others], events) == [-1]


def test_a_visit_votes_when_it_is_over():
    one = impression("i", 100.0, "s", [1, 2])
    votes = count_votes([one], clicks("i", "b"), [], (1, 2), 0.0, 100 + IDLE_SECONDS - 1)
    assert (votes.votes, votes.going_on, votes.clicks) == ((), 1, 1)
    votes = count_votes([one], clicks("i", "b"), [], (1, 2), 0.0, 100 + IDLE_SECONDS)
    assert [(vote.choice, vote.at) for vote in votes.votes] == [(1, 100 + IDLE_SECONDS)]


def test_a_click_after_the_vote_changes_it_no_more():
    one = impression("i", 100.0, "s", [1, 2])
    late = [Event(0, "u", "i", "a", "click", 100 + IDLE_SECONDS + at, "", "") for at in range(3)]
    assert choices([one], [*clicks("i", "b"), *late]) == [1]
    assert choices([one], late) == [0]
    assert choices([one], [*late, *clicks("i", "a")]) == [-1]


def test_a_pause_ends_a_visit():
    asked = [impression("i", 0.0, "s", [1, 2]), impression("j", IDLE_SECONDS, "s", [1, 2])]
    assert choices(asked, [*clicks("i", "b"), *clicks("j", "a")]) == [1, -1]


def test_one_person_votes_a_few_times_at_most():
    asked = [impression(f"i{at}", at * DAY, f"s{at}", [1, 2], who="ann") for at in range(9)]
    asked.append(impression("ben", 9 * DAY, "t", [1, 2], who="ben"))
    events = [event for one in asked for event in clicks(one.id, "b")]
    votes = count_votes(asked, events, [], (1, 2), 0.0, 10 * DAY)
    assert (len(votes.votes), votes.beyond, votes.people) == (MOST_OF_ONE + 1, 9 - MOST_OF_ONE, 2)


def test_other_trials_and_earlier_searches_do_not_count():
    asked = [
        impression("i", 5.0, "s", [1, 3], trial=(1, 3)),
        impression("j", 5.0, "t", [1, None], trial=None),
    ]
    assert count_votes(asked, clicks("i", "b"), [], (1, 2), 0.0, DAY).searches == 0
    early = impression("k", 5.0, "s", [1, 2])
    assert count_votes([early], clicks("k", "b"), [], (1, 2), 6.0, DAY).votes == ()


def test_decisions():
    assert decide([1] * 6) == (GOES_ON, 6, 0, 0)
    assert decide([1] * 7 + [-1] * 8) == (CANDIDATE, 7, 0, 0)  # later votes change nothing
    assert decide([0, -1] * 8) == (LIVE, 0, 7, 7)
    assert decide([1, -1] * 1_000)[0] == BOUND


@pytest.fixture
def candidate(notes):
    settings = SearchSettings(boosts=(Boost("n >= 30", 5.0),))
    return notes.create_serving(settings, note="later notes first", needs_gate=True).id


@pytest.fixture
def vote(notes, location):
    """A visit that clicks what serving `team` picked."""

    def click(visit, team):
        caller = Caller("", "page", f"visit {visit}")
        found = search(notes, SearchRequest(q="note about bread"), caller=caller, location=location)
        document = next(
            one.id for one, picked in zip(found.results, found.teams, strict=True) if picked == team
        )
        record_click(caller, location, notes, found.id, document)

    return click


@pytest.fixture
def later(monkeypatch):
    """Moves the clock of trials."""

    def move(seconds):
        now = time.time()
        monkeypatch.setattr(app.facade.gate.time, "time", lambda: now + seconds)

    return move


def test_a_candidate_that_people_prefer_becomes_live(notes, location, candidate, vote, later):
    report = start_trial(ANN, location, notes, candidate)
    assert (report.state, report.live, report.candidate) == (GOES_ON, 1, candidate)
    with pytest.raises(BadInput, match="is tried already"):
        start_trial(ANN, location, notes, candidate)
    for visit in range(9):
        vote(visit, candidate)
    report = settle_trial(ANN, location, notes)
    assert (report.state, report.going_on, report.searches, report.clicks) == (GOES_ON, 9, 9, 9)
    later(IDLE_SECONDS + 60)
    assert trial_report(ANN, location, notes).state == CANDIDATE  # looking changes nothing
    assert notes.trial() == candidate
    report = settle_trial(ANN, location, notes)
    assert (report.outcome, report.wins, report.losses) == ("promoted", 7, 0)
    live = next(one for one in notes.servings() if one.live)
    assert live.id == candidate
    assert live.promotions[-1].override.startswith("preferred in a trial: 7 of 7 visits")
    assert live.promotions[-1].who == "ann"
    assert notes.trial() is None
    assert latest_trial(location, notes.uuid).outcome == "promoted"
    assert settle_trial(ANN, location, notes).outcome == "promoted"
    rollback(ANN, location, notes)
    assert next(one.id for one in notes.servings() if one.live) == 1


def test_a_trial_that_is_ended_while_its_votes_are_counted_promotes_nothing(
    notes, location, candidate, vote, later, monkeypatch
):
    start_trial(ANN, location, notes, candidate)
    for visit in range(9):
        vote(visit, candidate)
    later(IDLE_SECONDS + 60)
    count = app.facade.gate.judge_votes

    def count_slowly(*arguments, **said):
        monkeypatch.setattr(app.facade.gate, "judge_votes", count)
        end_trial(ANN, location, notes)
        return count(*arguments, **said)

    monkeypatch.setattr(app.facade.gate, "judge_votes", count_slowly)
    assert settle_trial(ANN, location, notes).outcome == "stopped"
    assert next(one.id for one in notes.servings() if one.live) == 1
    assert latest_trial(location, notes.uuid).outcome == "stopped"


def test_a_candidate_that_people_do_not_prefer_is_not(notes, location, candidate, vote, later):
    start_trial(ANN, location, notes, candidate)
    for visit in range(8):
        vote(visit, 1)
    later(IDLE_SECONDS + 60)
    assert settle_trial(ANN, location, notes).outcome == "ended"
    assert notes.trial() is None
    assert next(one.id for one in notes.servings() if one.live) == 1


def test_a_trial_without_votes_ends_at_its_bound(notes, location, candidate, later):
    start_trial(ANN, location, notes, candidate)
    later(29 * DAY)
    report = settle_trial(ANN, location, notes)
    assert (report.state, report.outcome) == (BOUND, "ended")


def test_clicks_do_not_promote_what_failed_the_guard(notes, location, candidate, vote, later):
    notes.record_gate(candidate, {"verdict": "failed", "guard": False})
    start_trial(ANN, location, notes, candidate)
    for visit in range(8):
        vote(visit, candidate)
    later(IDLE_SECONDS + 60)
    report = settle_trial(ANN, location, notes)
    assert (report.state, report.outcome) == (CANDIDATE, "ended")
    assert "worse on its guard set" in report.note
    assert next(one.id for one in notes.servings() if one.live) == 1


def test_a_thumb_counts_as_a_click(notes, location, candidate, later):
    start_trial(ANN, location, notes, candidate)
    ben = Caller("ben", "page", "visit of ben")
    found = search(notes, SearchRequest(q="note about iron"), caller=ben, location=location)
    picked = next(one.id for one, team in zip(found.results, found.teams, strict=True) if team == candidate)
    record(ben, location, notes, found.query, picked, "up", impression=found.id)
    later(IDLE_SECONDS + 60)
    assert settle_trial(ANN, location, notes).wins == 1


def test_a_trial_that_a_promotion_ended_is_noted(notes, location, candidate):
    start_trial(ANN, location, notes, candidate)
    promote(ANN, location, notes, candidate, "I looked at it")
    assert latest_trial(location, notes.uuid).outcome == "promoted"
    with pytest.raises(BadInput, match="is tried now"):
        end_trial(ANN, location, notes)


def test_a_trial_that_ended_without_a_word_is_noted_by_who_looks(notes, location, candidate):
    start_trial(ANN, location, notes, candidate)
    notes.end_trial(who="somebody")
    assert settle_trial(ANN, location, notes).outcome == "stopped"


def test_what_was_learned_needs_the_gate_or_a_reason(notes, location, candidate):
    with pytest.raises(GateNotPassed):
        promote(ANN, location, notes, candidate)
    promote(ANN, location, notes, candidate, "the chief wants it")
    event = next(one for one in notes.servings() if one.live).promotions[-1]
    assert (event.override, event.who) == ("the chief wants it", "ann")


@pytest.mark.parametrize("act", [settle_trial, end_trial, rollback])
def test_a_visitor_without_the_right_changes_nothing(notes, location, act):
    with pytest.raises(NotAllowed):
        act(Caller("eve", rights=frozenset({"search"})), location, notes)


def test_a_trial_needs_the_log(notes, location, candidate, monkeypatch):
    monkeypatch.setenv("STLIB_LOG", "off")
    with pytest.raises(BadInput, match="searches are not recorded"):
        start_trial(ANN, location, notes, candidate)
    assert notes.trial() is None


def test_the_commands(notes, location, candidate, capsys, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(location.home))

    def stlib(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        return stopped.value.code, *capsys.readouterr()

    assert "nothing was ever tried" in stlib("trial", "notes")[1]
    assert stlib("promote", "notes", str(candidate))[0] == 1
    assert stlib("promote", "notes", str(candidate), "--trial", "--override", "x")[0] == 2
    code, out, _ = stlib("promote", "notes", str(candidate), "--trial")
    assert (code, notes.trial()) == (0, candidate)
    assert "stlib trial notes" in out
    code, out, _ = stlib("trial", "notes")
    assert code == 0
    assert "Not decided yet." in out
    said = json.loads(stlib("trial", "notes", "--json")[1])["trial"]
    assert (said["state"], said["candidate"]) == (GOES_ON, candidate)
    code, out, _ = stlib("trial", "notes", "--end")
    assert (code, notes.trial()) == (0, None)
    assert "stopped" in out
    assert stlib("promote", "notes", str(candidate), "--override", "looks right")[0] == 0
    assert stlib("rollback", "notes")[0] == 0
    assert next(one.id for one in notes.servings() if one.live) == 1


def test_a_damaged_report_is_an_error_with_a_remedy(notes, location, candidate):
    look, _ = take_look(location, notes.uuid, ["q"], baseline=1, candidate=candidate, cross_fitted=False)
    assert gate_report(ANN, location, notes, candidate) is None
    finish_look(location, look, 0.5, "failed", {"verdict": "failed"})
    with pytest.raises(StorageError, match="test it again"):
        gate_report(ANN, location, notes, candidate)
