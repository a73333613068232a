"""Questions on which two systems differ most, with both answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.report.model import TESTED, Measured, Report

__all__ = ["Apart", "Shown", "most_apart", "questions_apart"]


@dataclass(frozen=True)
class Shown:
    """A document in an answer; `grade` None where nobody judged it."""

    rank: int
    id: str
    title: str
    beginning: str
    grade: int | None


@dataclass(frozen=True)
class Apart:
    """A question: what the baseline and another system make of it, in the first metric that is tested."""

    question: str
    text: str
    before: float
    after: float
    before_answers: tuple[Shown, ...]
    after_answers: tuple[Shown, ...]
    relevant: int

    @property
    def difference(self) -> float:
        return self.after - self.before


def questions_apart(report: Report, one: Measured) -> list[Apart]:
    """Every question, the largest gain first."""
    base = report.baseline
    found = [
        Apart(
            question,
            text,
            base.values[TESTED[0]][question],
            one.values[TESTED[0]][question],
            _shown(report, base, question),
            _shown(report, one, question),
            sum(grade > 0 for grade in report.grades[question].values()),
        )
        for question, text in report.questions.items()
    ]
    return sorted(found, key=lambda row: (-row.difference, row.question))


def most_apart(report: Report, one: Measured, count: int = 3) -> tuple[list[Apart], list[Apart]]:
    """The questions that gain most and those that lose most, the largest first."""
    rows = questions_apart(report, one)
    gains = [row for row in rows if row.difference > 1e-12][:count]
    losses = [row for row in reversed(rows) if row.difference < -1e-12][:count]
    return gains, losses


def _shown(report: Report, one: Measured, question: str) -> tuple[Shown, ...]:
    grades: Mapping[str, int] = report.grades[question]
    found = []
    for rank, id_ in enumerate(one.answers.get(question, ()), start=1):
        document = report.documents.get(id_)
        title, beginning = (document.title, document.beginning) if document else (id_, "")
        found.append(Shown(rank, id_, title, beginning, grades.get(id_)))
    return tuple(found)
