"""Graded questions: what tuning learns from, what the gate and the reports measure by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stlib.util.forks import cached_property

__all__ = ["HELDOUT", "OUT", "SIDES", "TRAIN", "Agreement", "JudgedSet", "Question"]

TRAIN, HELDOUT, OUT = "train", "heldout", "out"
SIDES = (TRAIN, HELDOUT, OUT)
"""Tuning learns from `train`, the gate measures on `heldout`. `out` would measure what was learned: such a
question is like one of the other side, and serves neither.
"""


@dataclass(frozen=True)
class Question:
    """A question and the grades of its documents.

    Attributes:
        id: hash of the normalised text, see `app.feedback.questions`.
        text: as it was first asked.
        side: of `SIDES`.
        returning: it, or one that is like it, was asked more than once; else it is new.
        grades: document → grade, 0 and above; 0 is judged and no answer.
        conflicts: documents that some people called an answer and others none.
        people: how many said something of it.
        clicked: documents whose grade comes from clicks alone.
    """

    id: str
    text: str
    side: str
    returning: bool
    grades: Mapping[str, int]
    conflicts: frozenset[str] = frozenset()
    people: int = 1
    clicked: frozenset[str] = frozenset()

    @property
    def answered(self) -> bool:
        """Whether a document is known that answers. Without one there is nothing to measure."""
        return any(grade > 0 for grade in self.grades.values())


@dataclass(frozen=True)
class Agreement:
    """How far people agree on which documents answer; grades count as answer (above 0) or none.

    Attributes:
        pairs: (question, document) pairs that two people or more judged.
        same: share of those on which all said the same; None without such pairs.
        alpha: Krippendorff's, 1 where all agree, 0 where as much as by chance; None where it is not defined.
        conflicts: pairs on which they do not agree.
    """

    pairs: int = 0
    same: float | None = None
    alpha: float | None = None
    conflicts: int = 0


@dataclass(frozen=True)
class JudgedSet:
    """All judged questions of a collection, in the order of their ids.

    Attributes:
        agreement: of people.
        clicks_used: whether clicks made grades; sessions: how many searches with clicks there were for it.
        notes: what a reader of figures should know, in sentences.
    """

    questions: tuple[Question, ...] = ()
    agreement: Agreement = field(default_factory=Agreement)
    clicks_used: bool = False
    sessions: int = 0
    notes: tuple[str, ...] = ()

    def side(self, name: str) -> list[Question]:
        """The questions of a side that have an answer; those of which only wrong ones are known are left out.

        Raises:
            ValueError: there is no such side.
        """
        if name not in SIDES:
            raise ValueError(f"side {name!r}: use one of {', '.join(SIDES)}")
        return [one for one in self.questions if one.side == name and one.answered]

    def queries(self, questions: Iterable[Question] | None = None) -> dict[str, str]:
        """Id → text, of all questions that have an answer, or of `questions`."""
        return {one.id: one.text for one in self._of(questions)}

    def qrels(self, questions: Iterable[Question] | None = None) -> dict[str, dict[str, int]]:
        """Id → document → grade, of the same questions as `queries`."""
        return {one.id: dict(one.grades) for one in self._of(questions)}

    def _of(self, questions: Iterable[Question] | None) -> Iterable[Question]:
        return (one for one in self.questions if one.answered) if questions is None else questions

    @cached_property
    def fingerprint(self) -> str:
        """Of texts, sides and grades, 16 hexadecimal digits: equal where a report can be made again."""
        rows = [[one.id, one.text, one.side, sorted(one.grades.items())] for one in self.questions]
        text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
