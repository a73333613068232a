"""Erasing documents for good: what names or holds them is gone from rows, free pages and every view.

The request is on the disk before anything is deleted, with all that finding their traces needs. Whoever is
killed afterwards leaves it there: the next erasure, or `finish`, does each step again that may be undone.
At the end the request names nothing any more, the database is written anew, and the receipt is kept.
"""

from __future__ import annotations

import gc
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexing import faults
from indexing.catalog.database import map_errors, reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.erasing import (
    DONE,
    PENDING,
    ErasureInfo,
    Wanted,
    begin_erasure,
    delete_rows,
    detach_files,
    erasures_of,
    forget_marks,
    forget_names,
    forget_wanted,
    gather,
    note_erasure,
    outdate_views,
)
from indexing.documents.model import check_ids
from indexing.errors import BadInput, LockedError, StorageError
from indexing.lookup import matching_ids
from indexing.search.artifacts import forget_in_memories
from indexing.search.filter_spelling import Given
from indexing.session import Live, Session
from indexing.storage.removed import files_older_than, moment_of, processes_that_hold
from indexing.upkeep.receipt import Beyond, Reached, Receipt, receipt_of
from indexing.views.manager import Views
from indexing.views.milvus_leftovers import left_in_milvus, uses_milvus

__all__ = ["MOMENT", "erase", "finish", "receipts"]

logger = logging.getLogger(__name__)

BATCH = 1_000  # documents of one transaction
MOMENT = "moment"
"""In a receipt: no file of a view may be older than this, see `indexing.storage.removed.moment_of`."""

OUT_OF_REACH = (
    "backups, exports and other copies of the collection, and what restoring one of them brings back",
    "the original files outside of the home, and other documents with the same or nearly the same words",
    "processes of other users or machines that were searching meanwhile, until their next search",
)
BESIDE = "what an app keeps beside the collection, such as searches and jobs: `stlib erase` reaches it"
MILVUS = (
    "what Milvus keeps of vectors that were dropped there until its own garbage collection (hours, as it is"
    " set up), and its backups"
)
_UNFINISHED = "searches, judgments, jobs and files beside the collection: `stlib erase {} --finish` goes on"


def erase(
    session: Session,
    views: Views,
    ids: Iterable[str] | None,
    *,
    filter: Given | None = None,
    who: str = "",
    beyond: Beyond | None = None,
) -> Receipt:
    """Erases documents, without `ids` those that match `filter`, and all of their traces that can be reached.
    Ids that are not there are looked for in what is left of documents that were deleted before. None of them
    can come back, by id or by text.

    Raises:
        BadInput: no ids, or an id that is no string; nothing was changed.
        LockedError: another process adds or deletes documents; nothing was changed.
        DiskFull, StorageError: it could not go on; what was begun is finished by the next call.
    """
    named = [] if ids is None else list(dict.fromkeys(check_ids(ids, numbers=True)))
    if ids is not None and not named:
        raise BadInput("no id is given: name the documents to erase")
    with session.writing_documents():
        if ids is None and not (named := list(matching_ids(session, filter))):
            raise BadInput("no document matches the filter: nothing was erased")
        faults.point("erase.before")
        with session.looking() as (connection, _):  # which may take long, and nobody waits for it
            gathered = gather(connection, session.id, named)
        with writing(session.database) as connection:
            session.row(connection)
            number = begin_erasure(connection, session.id, gathered, who, beyond=beyond is not None)
            faults.point("erase.inside")
        faults.point("erase.begun")
        return next(one for one in _finish(session, views, beyond) if one.number == number)


def finish(session: Session, views: Views, *, beyond: Beyond | None = None) -> list[Receipt]:
    """Goes on with every erasure that is not done; returns their receipts.

    Raises: as `erase`.
    """
    if not receipts(session, open_only=True):
        return []
    with session.writing_documents():
        return _finish(session, views, beyond)


def receipts(session: Session, *, open_only: bool = False) -> list[Receipt]:
    """Of all erasures, the oldest first; with `open_only` of those that are not done."""
    with session.looking() as (connection, _):
        return [receipt_of(one) for one in erasures_of(connection, session.id, open_only=open_only)]


@dataclass
class _Work:
    """One erasure that is under way; `wanted` is None where nothing names it any more."""

    info: ErasureInfo
    wanted: Wanted | None
    reached: Reached = field(default_factory=Reached)

    @classmethod
    def of(cls, info: ErasureInfo) -> _Work:
        return cls(info, None if info.wanted is None else Wanted.from_json(info.wanted))

    @property
    def before(self) -> dict[str, Any]:
        """What its receipt said so far."""
        return self.info.receipt or {}

    def receipt(self, pending: Sequence[str], moment: int | None, far: Iterable[str] = ()) -> dict[str, Any]:
        """As it is kept; `far`: out of reach of the database."""
        erased = Counter({name: int(count) for name, count in self.before.get("erased", {}).items()})
        erased.update(self.reached.erased)
        seen = dict.fromkeys([*self.before.get("seen_by", ()), *self.reached.seen_by])
        places = [*OUT_OF_REACH, *far, *self.before.get("out_of_reach", ()), *self.reached.out_of_reach]
        return {
            "found": self.before.get("found", 0),
            "same_texts": self.before.get("same_texts", 0),
            "erased": {name: count for name, count in erased.items() if count},
            "seen_by": list(seen),
            "pending": list(pending),
            "out_of_reach": list(dict.fromkeys(places)),
            MOMENT: self.before.get(MOMENT) if moment is None else moment,
        }


def _finish(session: Session, views: Views, beyond: Beyond | None) -> list[Receipt]:
    with reading(session.database) as connection:
        works = [_Work.of(one) for one in erasures_of(connection, session.id, open_only=True)]
    for work in works:
        if work.wanted is not None:
            _delete(session, work, work.wanted)
            _reach_beyond(session, work, work.wanted, beyond)
    moment: int | None = None
    pending: list[str] = []
    if any(work.wanted is not None or work.before.get(MOMENT) is None for work in works):
        moment, pending = _renew_views(session, views)
    _forget_traces(session, works)
    with writing(session.database) as connection:
        forget_wanted(connection, [one.info.id for one in works if not one.reached.names_needed])
        faults.point("erase.clearing")
    faults.point("erase.cleared")
    with map_errors(session.database):
        if why := dialect_of(session.database).scrub(session.database):
            pending.append(f"the old bytes may still be in the catalog: {why}")
    faults.point("erase.scrubbed")
    pending += _held_files(session)
    far = [*dialect_of(session.database).OUT_OF_REACH, *_kept_by_milvus(session)]
    with writing(session.database) as connection:
        for work in works:
            still = [*work.reached.pending, *pending]
            receipt = work.receipt(still, moment, far)
            note_erasure(connection, work.info.id, PENDING if still else DONE, receipt)
    faults.point("erase.after")
    numbers = {work.info.id for work in works}
    return [one for one in receipts(session) if one.number in numbers]


def _delete(session: Session, work: _Work, wanted: Wanted) -> None:
    """Rows of the documents, their passages and codes."""
    for first in range(0, len(wanted.ids), BATCH):
        with writing(session.database) as connection:
            work.reached.erased.update(delete_rows(connection, session.id, wanted.ids[first : first + BATCH]))
            faults.point("erase.deleting")
    with writing(session.database) as connection:
        outdate_views(connection, session.id)
    faults.point("erase.deleted")


def _reach_beyond(session: Session, work: _Work, wanted: Wanted, beyond: Beyond | None) -> None:
    reached = work.reached
    if beyond is None:
        if wanted.beyond:
            reached.pending.append(_UNFINISHED.format(session.name))
            reached.names_needed = True
        else:
            reached.out_of_reach.append(BESIDE)
        return
    found = beyond.forget(wanted)
    reached.erased.update(found.erased)
    reached.pending += found.pending
    reached.seen_by += found.seen_by
    reached.out_of_reach += found.out_of_reach
    reached.names_needed |= found.names_needed
    if found.gone_files:
        with writing(session.database) as connection:
            detach_files(connection, found.gone_files, session.id)
    with writing(session.database) as connection:  # what has learned from it cannot be told a second time
        told = work.receipt([*reached.pending, _UNFINISHED.format(session.name)], None)
        note_erasure(connection, work.info.id, PENDING, told)
    faults.point("erase.beyond")


def _forget_traces(session: Session, works: Sequence[_Work]) -> None:
    """What is left in the catalog that tells a name: marks, renames, files, answers in memories."""
    with writing(session.database) as connection:
        for work in works:
            if work.wanted is not None:
                names = work.wanted.names
                memories = forget_in_memories(connection, session.id, names)
                work.reached.erased.update({"memories": memories})
                work.reached.erased.update(forget_names(connection, session.id, work.wanted))
        forget_marks(connection, session.id)
        faults.point("erase.forgetting")
    faults.point("erase.forgotten")


def _renew_views(session: Session, views: Views) -> tuple[int | None, list[str]]:
    """The moment since which every file of the views was written, None if not all were; and why not."""
    folder = session.place.views
    try:
        moment = moment_of(folder)
        views.renew(_served(session))
        old = files_older_than(folder, moment)
    except (LockedError, StorageError) as error:
        views.release()
        logger.warning("the indexes could not be made anew: %s", error)
        return None, [f"the indexes could not be made anew: {error}"]
    except OSError as error:
        return None, [f"the folder of the indexes cannot be written ({error.strerror})"]
    faults.point("erase.renewed")
    if old:
        return None, [f"{len(old)} files of indexes could not be removed from {folder}"]
    return moment, []


def _served(session: Session) -> list[Live]:
    """What is live, and what is tried beside it."""
    live = session.live()
    trial = live.state.trial_serving
    return [live] if trial is None else [live, session.live(trial)]


def _kept_by_milvus(session: Session) -> list[str]:
    """What a server keeps of rows that were dropped there."""
    with reading(session.database) as connection:
        used = uses_milvus(connection, session)
    left = [
        f"collections {name}* in Milvus, which was away: dropped later" for name in left_in_milvus(session)
    ]
    return [*left, MILVUS] if used else left


def _held_files(session: Session) -> list[str]:
    """Whether anybody has removed files of the indexes open still."""
    gc.collect()  # readers of this process that nobody uses any more
    holders = processes_that_hold(session.place.views)
    if not holders:
        return []
    others = [f"process {one}" if one != os.getpid() else "this process" for one in holders]
    return [
        f"removed files of indexes are open in {', '.join(others)}: the next search there, or its end, lets"
        " go of them"
    ]
