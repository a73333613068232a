"""The frame of a bulk load: what is done once, by the process that starts it, around reading and storing.

Lock the documents, plan or go on, let the pieces be brought in by whatever brings them, let views and
generations follow, forget the plan. Who brings the pieces is the `Middle`: a loop in this process (see
`indexing.bulk.here`) or workers on many machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from indexing.bulk.loads import (
    Load,
    all_shards,
    begin,
    denied_files,
    finish,
    forget_plan,
    piece_documents_for,
    report_of,
    shards_to_do,
    unstored,
)
from indexing.bulk.pieces import BulkSource, Done
from indexing.bulk.report import LoadProgress, LoadReport, PieceReport
from indexing.errors import StorageError
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.views.manager import Views
from indexing.writing.add import Adding

__all__ = ["Middle", "Tell", "nothing_stored", "run_load"]

Tell = Callable[[PieceReport], None]
"""Told of each piece, in the thread that called the middle; what it raises must end the middle."""

Middle = Callable[[Load, Iterator[tuple[int, Done]], Tell], bool]
"""Brings in the pieces of shards, given as their numbers with what is stored of each; returns whether it
stopped because another generation is live than the load's: it is called once more then, with what is left.
"""

_SAID_EVERY = 1.0  # seconds
_SHARE_SAID = 0.1  # of the time, at most: to count what is stored reads a row of each shard
_NAMED = 5


def run_load(
    session: Session,
    views: Views,
    encoders: Encoders,
    source: BulkSource,
    middle: Middle,
    *,
    restart: bool = False,
    piece_documents: int | None = None,
    progress: LoadProgress | None = None,
) -> LoadReport:
    """Brings a source into a collection; what an earlier start has stored is not read again, if its plan is
    there (`restart` makes a new one). `piece_documents` are embedded and stored at once; None leaves it to
    the model. `progress` is called about once a second: while it is planned or looked at whether anything
    changed, between two pieces, and while folders are brought in step afterwards. What it raises ends the
    load.

    A part of the source that cannot be read is named in the report, and the others are stored.

    Raises:
        BadInput: the source cannot be planned, or changed since it was.
        LockedError: another process writes to the collection.
        DiskFull, ConnectionLost, ModelMismatch: what is stored stays, and the next start goes on.
        StorageError: parts were read again and again, and nothing more of them is stored.
    """
    started = time.perf_counter()
    with session.writing_documents():
        adding = Adding(session, views, encoders)
        adding.maker_of(session.live())  # before a plan is made for a model that cannot be had
        size = piece_documents or piece_documents_for(encoders.of(session.live().generation))
        teller = _Teller(session, adding, progress)
        load = begin(session, source, size, restart=restart, told=teller.pass_on)
        if load.resumed:
            teller.say(load)  # where it goes on
        try:
            _bring_all(session, adding, load, middle, teller)
        finally:
            views.forget()
        teller.say(load)
        report = _end(session, views, encoders, source, load, adding, teller)
    report.added.seconds = time.perf_counter() - started
    return report


def _bring_all(session: Session, adding: Adding, load: Load, middle: Middle, teller: _Teller) -> None:
    """Until each shard is stored or bad: what a process left out that died, or was read in two ways by two of
    them, is read once more.
    """
    before: list[tuple[int, Done]] | None = None
    while True:
        live = session.live()
        adding.maker_of(live)  # gives the generation its ranges, which workers read
        load = replace(load, generation=live.generation.id)
        if middle(load, _to_do(session, load), partial(teller.tell, load)):
            continue
        left = list(_to_do(session, load))
        if not left:
            return
        if left == before:
            raise nothing_stored(session, load)
        before = left


def _to_do(session: Session, load: Load) -> Iterator[tuple[int, Done]]:
    return ((shard.number, done) for shard, done in shards_to_do(session, load))


def nothing_stored(session: Session, load: Load) -> StorageError:
    """The error for shards that were read once more without anything being stored."""
    left = [number for number, _ in _to_do(session, load)]
    named = ", ".join(map(str, left[:_NAMED])) + (", …" if len(left) > _NAMED else "")
    return StorageError(
        f"{len(left):,} parts of the source (by number: {named}) were read again and nothing more of them is"
        " stored. What is stored is kept; the same command tries again, and `stlib verify` looks for damage"
    )


def _end(
    session: Session,
    views: Views,
    encoders: Encoders,
    source: BulkSource,
    load: Load,
    adding: Adding,
    teller: _Teller,
) -> LoadReport:
    report = finish(session, load, adding)
    source.finish(all_shards(session, load), unstored(session, load), set(denied_files(session, load)))
    if report.finished:
        forget_plan(session, load)
        report.synced = source.sync_rest(views, encoders, lambda *_: teller.pass_on(report))
    return report


class _Teller:
    """Passes on how far a load is, now and then."""

    def __init__(self, session: Session, adding: Adding, progress: LoadProgress | None) -> None:
        self._session = session
        self._adding = adding
        self._progress = progress
        self._said = time.monotonic()
        self._took = 0.0

    def tell(self, load: Load, _: PieceReport) -> None:
        """A piece was stored: the counts are passed on if it is time for it."""
        if self._is_time() and self._passed() > self._took / _SHARE_SAID:
            self.say(load)

    def say(self, load: Load) -> None:
        began = time.monotonic()
        report = report_of(self._session, load, whole=False)
        self._took = time.monotonic() - began
        if self._progress is not None:
            self._progress(report)
        self._adding.after_batch(report.added)
        self._said = time.monotonic()

    def pass_on(self, report: LoadReport) -> None:
        """What somebody else counted."""
        if self._progress is not None and self._is_time():
            self._progress(report)
            self._said = time.monotonic()

    def _is_time(self) -> bool:
        return self._passed() > _SAID_EVERY

    def _passed(self) -> float:
        return time.monotonic() - self._said
