"""What the gate says of a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = [
    "FAILED",
    "PASSED",
    "UNDECIDED",
    "GateReport",
    "GuardChange",
    "MetricChange",
    "QuestionChange",
    "ReplayChange",
]

PASSED, FAILED, UNDECIDED = "passed", "failed", "undecided"


@dataclass(frozen=True)
class MetricChange:
    """A metric averaged over `questions`, and its change with the interval that holds the true one with 95 %.

    `detectable` is the smallest change that so many questions would have shown in 8 of 10 cases; what cannot
    be said of so few is None.
    """

    questions: int
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    detectable: float | None = None


@dataclass(frozen=True)
class QuestionChange:
    """One question: NDCG@10 before and after, and the best answers of both. The text is what was asked."""

    id: str
    text: str
    before: float
    after: float
    answers_before: tuple[str, ...]
    answers_after: tuple[str, ...]


@dataclass(frozen=True)
class GuardChange:
    """NDCG@10 on judgments that must not get worse: `low` is the lower 95 % bound of the change."""

    name: str
    questions: int
    before: float
    after: float
    difference: float
    low: float | None
    allowed: float
    held: bool


@dataclass(frozen=True)
class ReplayChange:
    """Shares of past questions whose first answer is another one, and of the best ten how many are."""

    questions: int
    changed_first: float
    changed_ten: float


@dataclass(frozen=True)
class GateReport:
    """The gate's report on one candidate.

    Attributes:
        verdict: "passed", "failed" or "undecided".
        sentences: it in plain words, the verdict first.
        collection: name; baseline, candidate: servings.
        look, epoch: number of the test in the budget of its questions, and of the budget.
        alpha: what this look may spend; p of NDCG@10, one-sided.
        metrics: of "NDCG@10", "MRR@10", "Recall@10".
        returning, new: NDCG@10 of questions that were asked before, and of the others; None without any.
        judged_at_10: "before", "after": share of the best ten that somebody judged.
        bounds: "worst", "best": change of NDCG@10 if what nobody judged spoke against the candidate, or for
            it.
        smallest_detectable: of NDCG@10, at this look's alpha.
        cross_fitted: every question was answered by what was learned without it; `folds` of them.
        wins, losses, ties: of questions.
        to_judge: (question id, its text, document), the most decisive first.
        notes: what a reader of the figures should know.
    """

    verdict: str
    sentences: tuple[str, ...]
    collection: str
    baseline: int
    candidate: int
    look: int
    epoch: int
    alpha: float
    p: float
    metrics: dict[str, MetricChange]
    judged_at_10: dict[str, float]
    bounds: dict[str, float]
    smallest_detectable: float | None
    cross_fitted: bool
    folds: int
    wins: int
    losses: int
    ties: int
    returning: MetricChange | None = None
    new: MetricChange | None = None
    guard: GuardChange | None = None
    replay: ReplayChange | None = None
    questions: tuple[QuestionChange, ...] = ()
    to_judge: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()
    mode: str = "hybrid"
    at: float = 0.0
    who: str = ""

    @property
    def passed(self) -> bool:
        return self.verdict == PASSED

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """What is kept on the serving: the verdict and the few numbers that a history shows."""
        change = self.metrics["NDCG@10"]
        return {
            "verdict": self.verdict,
            "p": self.p,
            "alpha": self.alpha,
            "look": self.look,
            "questions": change.questions,
            "difference": change.difference,
            "baseline": self.baseline,
            "guard": None if self.guard is None else self.guard.held,
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> GateReport:
        """
        Raises:
            ValueError: it is no report.
        """
        try:
            values = dict(said)
            values["metrics"] = {name: MetricChange(**change) for name, change in values["metrics"].items()}
            for name, kind in _PARTS.items():
                if values.get(name) is not None:
                    values[name] = kind(**values[name])
            values["questions"] = tuple(
                QuestionChange(
                    **{**one, **{side: tuple(one[side]) for side in ("answers_before", "answers_after")}}
                )
                for one in values["questions"]
            )
            values["to_judge"] = tuple((str(a), str(b), str(c)) for a, b, c in values["to_judge"])
            for name in ("sentences", "notes"):
                values[name] = tuple(map(str, values[name]))
            known = {one.name for one in fields(cls)}
            return cls(**{name: value for name, value in values.items() if name in known})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no report of the gate ({error})") from error


_PARTS: dict[str, Any] = {
    "returning": MetricChange,
    "new": MetricChange,
    "guard": GuardChange,
    "replay": ReplayChange,
}
