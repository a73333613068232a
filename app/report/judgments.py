"""Judged questions to measure with: of a folder in BEIR layout, or of what people said here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.feedback.judged import HELDOUT, TRAIN, read_judged
from app.feedback.questions import question_hash
from app.settings import Location
from app.wording import format_count
from indexing import Collection
from indexing.errors import BadInput
from indexing.evaluation import read_beir

__all__ = ["FEEDBACK", "Judgments", "read_judgments"]

FEEDBACK = "feedback"
"""Stands for what people said here, in place of a folder."""


@dataclass(frozen=True)
class Judgments:
    """Questions id → text and grades id → document → grade, of those that have an answer.

    `side` is what of feedback they are; empty for a folder.
    """

    source: str
    split: str
    side: str
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Of texts and grades, 16 hexadecimal digits."""
        rows = [
            [id_, self.queries[id_], sorted(grades.items())] for id_, grades in sorted(self.qrels.items())
        ]
        text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def read_judgments(
    location: Location, collection: Collection, source: str, split: str, *, tuned: bool
) -> Judgments:
    """The judgments of `source`, a folder or `FEEDBACK`. Where something that is compared is `tuned`, only
    questions of feedback that it cannot have learned from are taken.

    Raises:
        BadInput, BadLine: nothing is judged there, or a file cannot be read.
    """
    if source == FEEDBACK:
        return _from_feedback(location, collection, tuned)
    beir = read_beir(Path(source), split)
    judgments = _answered(source, split, "", beir.queries, beir.qrels)
    if not judgments.qrels:
        raise BadInput(f"{source}: no question of split {split!r} has a text and a document judged relevant")
    if not tuned:
        return judgments
    learned = {
        one.id for one in read_judged(location, collection, clicks="off").questions if one.side == TRAIN
    }
    shared = sum(question_hash(text) in learned for text in judgments.queries.values())
    if not shared:
        return judgments
    note = (
        f"{format_count(shared, 'question')} of these stand in the feedback that is learned from: for"
        " servings that were tuned they are no fair measure."
    )
    return Judgments(source, split, "", judgments.queries, judgments.qrels, (note,))


def _from_feedback(location: Location, collection: Collection, tuned: bool) -> Judgments:
    judged = read_judged(location, collection, clicks="off")
    chosen = judged.side(HELDOUT) if tuned else [one for one in judged.questions if one.answered]
    if not chosen:
        some = any(one.answered for one in judged.questions)
        raise BadInput(
            "no question of the held-out side of the feedback has an answer yet, and something that is"
            " compared was tuned on the other side: judge more questions, or give a folder of judgments"
            if some
            else f"nobody has judged an answer in {collection.name!r} yet: judge some on the search page,"
            " with `stlib feedback add` or `stlib feedback import`, or give a folder of judgments"
        )
    note = (
        "Something that is compared has learned from feedback: only its held-out side is measured."
        if tuned
        else "Nothing that is compared has learned from feedback: all of it is measured."
    )
    side = HELDOUT if tuned else "all"
    made = _answered(FEEDBACK, "", side, judged.queries(chosen), judged.qrels(chosen))
    return Judgments(FEEDBACK, "", side, made.queries, made.qrels, (note, *judged.notes))


def _answered(
    source: str, split: str, side: str, queries: Mapping[str, str], qrels: Mapping[str, Mapping[str, int]]
) -> Judgments:
    kept = {
        id_: dict(grades)
        for id_, grades in qrels.items()
        if id_ in queries and any(grade > 0 for grade in grades.values())
    }
    return Judgments(source, split, side, {id_: queries[id_] for id_ in kept}, kept)
