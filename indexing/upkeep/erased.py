"""Checking that what was erased is gone: by the digests that are kept of it, and by the age of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import select

from indexing.catalog.database import reading
from indexing.catalog.denials import Denials, find_denials, read_denials
from indexing.catalog.erasing import erasures_of
from indexing.catalog.reads import chunk_keys
from indexing.catalog.schema import DocumentRow, Renamed
from indexing.catalog.servings import servings_of
from indexing.search.artifacts import remembered_ids
from indexing.session import Live, Session
from indexing.storage.removed import files_older_than
from indexing.upkeep.erase import MOMENT
from indexing.upkeep.receipt import Receipt, receipt_of
from indexing.views.manager import Views

__all__ = ["ErasedReport", "check_erased", "erased_among"]

BATCH = 2_000


@dataclass
class ErasedReport:
    """What was looked for and found.

    Attributes:
        erasures: receipts, the oldest first.
        denied: documents that are kept out.
        problems: what is still there although an erasure says that it is gone.
        repaired: what was still there, and is gone now.
        same_texts: documents that have the text of one that was erased, and were there before.
    """

    erasures: list[Receipt] = field(default_factory=list)
    denied: int = 0
    problems: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    same_texts: int = 0

    @property
    def pending(self) -> list[str]:
        """Reasons of erasures that are not done."""
        return [f"erasure {one.number}: {why}" for one in self.erasures for why in one.pending]

    @property
    def clean(self) -> bool:
        return not self.problems and not self.pending

    def to_dict(self) -> dict[str, Any]:
        return {
            "clean": self.clean,
            "denied": self.denied,
            "problems": self.problems,
            "repaired": self.repaired,
            "pending": self.pending,
            "same_texts": self.same_texts,
            "erasures": [one.to_dict() for one in self.erasures],
        }


def check_erased(session: Session, views: Views) -> ErasedReport:
    """See `Collection.check_erased`."""
    report = ErasedReport()
    with session.looking() as (connection, state):
        rows = erasures_of(connection, session.id)
        report.erasures = [receipt_of(one) for one in rows]
        denials = read_denials(connection, session.id)
        lives = [session.read_live(connection, state)]
    moments = [int((one.receipt or {}).get(MOMENT) or 0) for one in rows]
    if old := files_older_than(session.place.views, max(moments, default=0)):
        report.problems.append(f"{len(old)} files of indexes are older than the last erasure")
    report.problems += [problem for live in lives for problem in _foreign_passages(session, views, live)]
    if denials is not None:
        report.denied = len(denials.of_ids)
        _look_at_documents(session, denials, report)
        _look_at_names(session, denials, report)
    return report


def erased_among(session: Session, ids: Iterable[str]) -> frozenset[str]:
    """Those of `ids` that are kept out."""
    named = dict.fromkeys(ids)
    with session.looking() as (connection, _):
        denials = find_denials(connection, session.id, named)
    return frozenset(() if denials is None else (id_ for id_ in named if denials.by_id(id_) is not None))


def _foreign_passages(session: Session, views: Views, live: Live) -> list[str]:
    """Whether an open view has a passage that the catalog has not."""
    problems = []
    with session.lock, reading(session.database) as connection:
        expected = chunk_keys(connection, live.generation.id)
        for view in (views.vectors(live), views.terms(live)):
            if view is not None and len(np.setdiff1d(view.reader(connection).live_keys, expected)):
                problems.append(f"{view.what}: it has passages that the catalog has not")
    return problems


def _look_at_documents(session: Session, denials: Denials, report: ErasedReport) -> None:
    back = 0
    for id_, deleted, text in _documents(session):
        if denials.by_id(id_) is not None:
            back += 1
        elif not deleted and denials.by_text(text) is not None:
            report.same_texts += 1
    if back:
        report.problems.append(f"{back} documents, or marks of them, have an id that was erased")


def _documents(session: Session) -> Iterator[tuple[str, bool, str]]:
    last = -1
    while True:
        with reading(session.database) as connection:
            rows = connection.execute(
                select(DocumentRow.seq, DocumentRow.id, DocumentRow.deleted, DocumentRow.text)
                .where(DocumentRow.collection_id == session.id, DocumentRow.seq > last)
                .order_by(DocumentRow.seq)
                .limit(BATCH)
            ).all()
        if not rows:
            return
        yield from ((row[1], row[2], row[3]) for row in rows)
        last = rows[-1][0]


def _look_at_names(session: Session, denials: Denials, report: ErasedReport) -> None:
    with session.looking() as (connection, _):
        renamed = connection.execute(
            select(Renamed.old_id, Renamed.new_id).where(Renamed.collection_id == session.id)
        )
        names = {name for row in renamed for name in row}
        memories = {
            id_
            for serving in servings_of(connection, session.id)
            for id_ in remembered_ids(connection, session.id, serving)
        }
    for what, found in (("renames name", names), ("memories of servings name", memories)):
        if count := sum(denials.by_id(name) is not None for name in found):
            report.problems.append(f"{what} {count} ids that were erased")
