"""One candidate, tested once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from app.feedback.judged import JudgedSet, Question
from app.settings import Location
from app.statistics.randomisation import paired_randomisation
from app.tuning.gate.clusters import cluster_questions
from app.tuning.gate.guard import Guard, check_guard
from app.tuning.gate.model import (
    FAILED,
    PASSED,
    UNDECIDED,
    GateReport,
    GuardChange,
    MetricChange,
    QuestionChange,
)
from app.tuning.gate.replaying import replay_questions
from app.tuning.gate.test import (
    DEPTH,
    FOLDS,
    METRICS,
    Answers,
    Refit,
    assign_folds,
    change_of,
    cross_fit,
    cross_fit_inflation,
)
from app.tuning.gate.unjudged import GAP, Pair, bounds, judged_share, pairs_of, turning
from app.tuning.gate.wording import write_sentences
from app.tuning.runs import Look, finish_look, questions_of, take_look
from indexing import faults
from indexing.catalog.servings import PROMOTE
from indexing.errors import BadInput

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["ENOUGH", "known_questions", "run_gate"]

ENOUGH = 200
"""Below so many judged questions the test is cross-fitted over all of them."""

_SHOWN = 3  # answers of each side that a report keeps


@dataclass(frozen=True)
class _Tested:
    """What was measured: answers to each question, and its metrics before and after, float [n]; `inflation`
    of the variance of their means.
    """

    answers: list[Answers]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    inflation: float

    @property
    def differences(self) -> np.ndarray:
        return self.after["NDCG@10"] - self.before["NDCG@10"]

    def p(self, differences: np.ndarray) -> float:
        """Of differences of these questions."""
        return paired_randomisation(differences, inflation=self.inflation)


def run_gate(
    location: Location,
    collection: Collection,
    candidate: int,
    judged: JudgedSet,
    *,
    refit: Refit | None = None,
    guard: Guard | None = None,
    past: Sequence[str] = (),
    mode: str = "hybrid",
    who: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> GateReport:
    """Tests serving `candidate` against the live one, once, and writes the verdict on the serving and in the
    ledger. The look is taken, and on the disk, before anything is measured; it counts if this process dies.

    With fewer than `ENOUGH` judged questions on both sides together the test is over all of them, if `refit`
    is given: it learns from a list of questions, and returns what ranks documents for a question (None: what
    is live), see `app.tuning.gate.test`. Otherwise it is over the held-out side. Questions that what is live
    was tuned with are left out of the test. `past` are texts of past
    questions, of which is counted how many answers change.

    Raises:
        BadInput: no such serving, it is live, or no question to test with has an answer.
        StorageError: the ledger cannot be written; nothing was measured.
    """
    baseline = _live(collection, candidate)
    heldout, train = judged.side("heldout"), judged.side("train")
    cross_fitted = refit is not None and len(heldout) + len(train) < ENOUGH
    questions = sorted([*heldout, *train] if cross_fitted else heldout, key=lambda one: one.id)
    if not questions:
        raise BadInput(
            f"there is nothing to test serving {candidate} with: no question {_where(cross_fitted)} has an"
            " answer that somebody called right; judge some answers first"
        )
    known = known_questions(location, collection, baseline)
    unseen = [one.id for one in questions if one.id not in known]
    if not unseen:
        raise BadInput(
            f"there is nothing to test serving {candidate} with: what is live has learned from all"
            f" {len(questions)} judged questions {_where(cross_fitted)}; judge answers to new questions first"
        )
    look, ids = take_look(
        location,
        collection.uuid,
        unseen,
        baseline=baseline,
        candidate=candidate,
        cross_fitted=cross_fitted,
        who=who,
    )
    faults.point("gate.look")
    wanted = set(ids)
    tested = [one for one in questions if one.id in wanted]
    measured = _measure(collection, look, questions, tested, refit if cross_fitted else None, mode, progress)
    held = None if guard is None else check_guard(collection, guard, baseline, candidate, mode)
    report = _report(collection, look, measured, held, mode)
    if past:
        report = replace(report, replay=replay_questions(collection, past, baseline, candidate, mode))
    report = replace(report, notes=_notes(len(questions), len(unseen), report))
    report = replace(report, sentences=write_sentences(report))
    faults.point("gate.result")
    finish_look(location, look, report.p, report.verdict, report.to_dict())
    if next(one for one in collection.servings() if one.id == candidate).gate is not None:
        collection.record_gate(candidate, report.summary())
    return report


def _live(collection: Collection, candidate: int) -> int:
    servings = {one.id: one for one in collection.servings()}
    if candidate not in servings:
        raise BadInput(
            f"collection {collection.name!r} has no serving {candidate!r}; there are:"
            f" {', '.join(map(str, servings))}"
        )
    if servings[candidate].live:
        raise BadInput(f"serving {candidate} is live: there is nothing to compare it with")
    return next(one.id for one in servings.values() if one.live)


def known_questions(location: Location, collection: Collection, baseline: int) -> set[str]:
    """Questions (ids) that what is live was tuned with, or what was live before it, on which it may stand.

    Its memory knows their answers, and so may a candidate that is made of it, whatever else that learned
    without them: they would say nothing of questions to come.
    """
    servings = [
        one.id
        for one in collection.servings()
        if one.id == baseline or (one.id < baseline and any(move.kind == PROMOTE for move in one.promotions))
    ]
    return set().union(*(questions_of(location, collection.uuid, one) for one in servings))


def _where(cross_fitted: bool) -> str:
    return "at all" if cross_fitted else "of the held-out side"


def _measure(
    collection: Collection,
    look: Look,
    questions: Sequence[Question],
    tested: Sequence[Question],
    refit: Refit | None,
    mode: str,
    progress: Callable[[int, int], None] | None,
) -> _Tested:
    asked = {one.id: one.text for one in tested}
    before = collection.rankings(asked, mode=mode, depth=DEPTH, serving=look.baseline)
    if refit is None:
        after = collection.rankings(asked, mode=mode, depth=DEPTH, serving=look.candidate)
    else:
        folds = assign_folds(cluster_questions({one.id: one.text for one in questions}))
        after = cross_fit(questions, tested, folds, refit, before, progress)
    answers = [Answers(one, tuple(before[one.id]), tuple(after[one.id])) for one in tested]
    both = [one.metrics() for one in answers]
    return _Tested(
        answers,
        {name: np.asarray([metrics[name] for metrics, _ in both]) for name in METRICS},
        {name: np.asarray([metrics[name] for _, metrics in both]) for name in METRICS},
        1.0 if refit is None else cross_fit_inflation(),
    )


def _report(
    collection: Collection, look: Look, tested: _Tested, guard: GuardChange | None, mode: str
) -> GateReport:
    answers, differences = tested.answers, tested.differences
    p = tested.p(differences)
    shares = {
        "before": judged_share([(one.before, one.question.grades) for one in answers]),
        "after": judged_share([(one.after, one.question.grades) for one in answers]),
    }
    guarded = guard is None or guard.held
    pairs = _turning(tested, look.alpha, p <= look.alpha, shares) if guarded else []
    verdict = UNDECIDED if pairs else PASSED if guarded and p <= look.alpha else FAILED
    metrics = {
        name: change_of(tested.before[name], tested.after[name], look.alpha, tested.inflation)
        for name in METRICS
    }
    returning = np.asarray([one.question.returning for one in answers])
    return GateReport(
        verdict=verdict,
        sentences=(),
        collection=collection.name,
        baseline=look.baseline,
        candidate=look.candidate,
        look=look.number,
        epoch=look.epoch,
        alpha=look.alpha,
        p=p,
        metrics=metrics,
        judged_at_10=shares,
        bounds={
            "worst": float(bounds(answers, best=False).mean()),
            "best": float(bounds(answers, best=True).mean()),
        },
        smallest_detectable=metrics["NDCG@10"].detectable,
        cross_fitted=look.cross_fitted,
        folds=FOLDS if look.cross_fitted else 0,
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
        returning=_part(tested, returning, look.alpha),
        new=_part(tested, ~returning, look.alpha),
        guard=guard,
        questions=tuple(_side_by_side(tested)),
        to_judge=tuple(
            (answers[pair.at].question.id, answers[pair.at].question.text, pair.document) for pair in pairs
        ),
        mode=mode,
        at=time.time(),
        who=look.who,
    )


def _turning(tested: _Tested, alpha: float, passed: bool, shares: dict[str, float]) -> list[Pair]:
    """What to judge before this verdict can be believed; empty where it can."""
    answers, behind = tested.answers, shares["before"] - shares["after"]
    if passed and -behind >= GAP:
        pairs = pairs_of(answers, best=False)
        return turning(answers, pairs, lambda found: tested.p(found) > alpha)
    if not passed and behind >= GAP:
        pairs = pairs_of(answers, best=True)
        return turning(answers, pairs, lambda found: tested.p(found) <= alpha)
    return []


def _part(tested: _Tested, those: np.ndarray, alpha: float) -> MetricChange | None:
    if not those.any():
        return None
    return change_of(tested.before["NDCG@10"][those], tested.after["NDCG@10"][those], alpha, tested.inflation)


def _side_by_side(tested: _Tested) -> list[QuestionChange]:
    """The largest changes first, either way."""
    rows = [
        QuestionChange(
            one.question.id,
            one.question.text,
            float(tested.before["NDCG@10"][at]),
            float(tested.after["NDCG@10"][at]),
            one.before[:_SHOWN],
            one.after[:_SHOWN],
        )
        for at, one in enumerate(tested.answers)
    ]
    return sorted(rows, key=lambda row: -abs(row.after - row.before))


def _notes(questions: int, unseen: int, report: GateReport) -> tuple[str, ...]:
    """`questions` of these sides, of which what is live has not learned from `unseen`."""
    notes = []
    tested = report.metrics["NDCG@10"].questions
    if unseen < questions:
        notes.append(
            f"What is live has learned from {questions - unseen} of the {questions} judged questions, which"
            " were left out: their answers are known to it."
        )
    if report.cross_fitted:
        notes.append(
            f"There are fewer than {ENOUGH} judged questions, so this is a test of what is learned from that"
            f" many, in {report.folds} parts; the candidate itself learned from all of them. As the parts"
            " learn from nearly the same questions, a gain must be half as large again to count."
        )
    if tested < unseen:
        notes.append(
            f"{unseen - tested} questions of earlier looks were left out, and the budget begins anew."
        )
    inflation = cross_fit_inflation() if report.cross_fitted else 1.0
    if paired_randomisation(np.ones(report.wins + report.losses), inflation=inflation) > report.alpha:
        notes.append("Too few answers differ for any result to pass: judge more questions.")
    return tuple(notes)
