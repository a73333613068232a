"""The frame of a bulk load: what is done once, by the process that starts it, around reading and storing.

Lock the documents, plan or go on, let the pieces be brought in by whatever brings them, let views and
generations follow, forget the plan. Who brings the pieces is the `Middle`: a loop in this process (see
`indexing.bulk.here`) or workers on many machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

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
)
from indexing.bulk.pieces import BulkSource, Done
from indexing.bulk.report import LoadProgress, LoadReport, PieceReport
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.views.manager import Views
from indexing.writing.add import Adding

__all__ = ["Middle", "Tell", "run_load"]

Tell = Callable[[PieceReport], None]
"""Told of each piece, in the thread that called the middle; what it raises must end the middle."""

Middle = Callable[[Load, Iterator[tuple[int, Done]], Tell], bool]
"""Brings in the pieces of shards, given as their numbers with what is stored of each; returns whether it
stopped because another generation is live than the load's: it is called once more then, with what is left.
"""

_SAID_EVERY = 1.0  # seconds: to count what is stored reads a row of each shard


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
    the model. `progress` is called about once a second, between two pieces.

    A part of the source that cannot be read is named in the report, and the others are stored.

    Raises:
        BadInput: the source cannot be planned, or changed since it was.
        LockedError: another process writes to the collection.
        DiskFull, ConnectionLost, ModelMismatch: what is stored stays, and the next start goes on.
    """
    started = time.perf_counter()
    with session.writing_documents():
        adding = Adding(session, views, encoders)
        adding.maker_of(session.live())  # before a plan is made for a model that cannot be had
        size = piece_documents or piece_documents_for(encoders.of(session.live().generation))
        load = begin(session, source, size, restart=restart)
        teller = _Teller(session, load, adding, progress)
        if load.resumed:
            teller.say()  # where it goes on
        try:
            while True:
                live = session.live()
                adding.maker_of(live)  # gives the generation its ranges, which workers read
                load = replace(load, generation=live.generation.id)
                todo = ((shard.number, done) for shard, done in shards_to_do(session, load))
                if not middle(load, todo, teller.tell):
                    break
        finally:
            views.forget()
        teller.say()
        report = _end(session, views, encoders, source, load, adding)
    report.added.seconds = time.perf_counter() - started
    return report


def _end(
    session: Session, views: Views, encoders: Encoders, source: BulkSource, load: Load, adding: Adding
) -> LoadReport:
    report = finish(session, load, adding)
    bad = {shard.number for shard in report.bad}
    source.finish(all_shards(session, load), bad, set(denied_files(session, load)))
    if report.finished:
        forget_plan(session, load)
        report.synced = source.sync_rest(views, encoders)
    return report


class _Teller:
    """Passes on how far a load is, now and then."""

    def __init__(self, session: Session, load: Load, adding: Adding, progress: LoadProgress | None) -> None:
        self._session = session
        self._load = load
        self._adding = adding
        self._progress = progress
        self._said = time.monotonic()

    def tell(self, _: PieceReport) -> None:
        if time.monotonic() - self._said > _SAID_EVERY:
            self.say()

    def say(self) -> None:
        report = report_of(self._session, self._load)
        if self._progress is not None:
            self._progress(report)
        self._adding.after_batch(report.added)
        self._said = time.monotonic()
