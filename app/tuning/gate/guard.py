"""Judgments that were there before and must not get worse, whatever people click and say since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.feedback.judged import Question
from app.statistics.distributions import finite
from app.statistics.intervals import lower_bound
from app.tuning.gate.model import GuardChange
from app.tuning.gate.test import DEPTH
from indexing.errors import BadInput
from indexing.evaluation import query_metrics, read_beir

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["ALLOWED", "LEAST", "Guard", "check_guard", "guard_of", "read_guard", "set_aside"]

ALLOWED = -0.02
"""NDCG@10 may lose so much: the lower 95 % bound of its change must not be below."""

LEAST = 10
"""Fewer questions bound nothing."""


@dataclass(frozen=True)
class Guard:
    """Judged questions that neither tuning nor the gate's test uses: id → text, id → document → grade."""

    name: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]

    def __post_init__(self) -> None:
        if len(self.answered) < LEAST:
            raise BadInput(
                f"guard {self.name!r} has {len(self.answered)} questions with an answer: give {LEAST} or more"
            )

    @property
    def answered(self) -> list[str]:
        """Ids of the questions that have an answer."""
        return [
            id_
            for id_, grades in self.qrels.items()
            if id_ in self.queries and any(grade > 0 for grade in grades.values())
        ]


def read_guard(folder: Path, split: str = "test") -> Guard:
    """The guard in a judged BEIR folder.

    Raises:
        BadInput, BadLine: it cannot be read, or has too few judged questions.
    """
    beir = read_beir(folder, split)
    return Guard(f"{folder.name}/{split}", beir.queries, beir.qrels)


def guard_of(questions: Iterable[Question], name: str = "feedback set aside") -> Guard:
    """The guard of judged questions."""
    kept = list(questions)
    return Guard(name, {one.id: one.text for one in kept}, {one.id: dict(one.grades) for one in kept})


def set_aside(questions: Sequence[Question], share: float = 0.2) -> tuple[list[Question], list[Question]]:
    """Questions for a guard, about a `share` of all, and the rest. Which is which hangs on the ids alone, so
    that a question that was set aside stays there.
    """
    bound = int(share * 2**32)
    kept = {one.id for one in questions if _number(one.id) < bound}
    return [one for one in questions if one.id in kept], [one for one in questions if one.id not in kept]


def _number(id_: str) -> int:
    digest = hashlib.sha256(b"guard\0" + id_.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big")


def check_guard(
    collection: Collection, guard: Guard, baseline: int, candidate: int, mode: str = "hybrid"
) -> GuardChange:
    """Asks both servings the questions of the guard."""
    asked = {id_: guard.queries[id_] for id_ in guard.answered}
    scores = []
    for serving in (baseline, candidate):
        found = collection.rankings(asked, mode=mode, depth=DEPTH, serving=serving)
        scores.append(np.asarray([query_metrics(found[id_], guard.qrels[id_])["NDCG@10"] for id_ in asked]))
    before, after = scores
    low = lower_bound(after - before)
    return GuardChange(
        guard.name,
        len(asked),
        float(before.mean()),
        float(after.mean()),
        float((after - before).mean()),
        finite(low),
        ALLOWED,
        low >= ALLOWED,
    )
