"""A bulk load in this process, without a cluster: the same plan, the same pieces, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator

from indexing.bulk.loads import Load, begin, finish, piece_documents_for, report_of, shards_to_do
from indexing.bulk.pieces import BulkSource, Done, Piece, ShardPlan
from indexing.bulk.report import LoadProgress, LoadReport, PieceReport
from indexing.bulk.writer import AGAIN, STALE, THERE, PieceStore, Writer, embed_piece
from indexing.errors import BadInput
from indexing.generations.makers import Maker
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.views.manager import Views
from indexing.writing.add import Adding

__all__ = ["bring_piece", "load_here"]

_SAID_EVERY = 1.0  # seconds: to count what is stored reads a row of each shard


def load_here(
    session: Session,
    views: Views,
    encoders: Encoders,
    source: BulkSource,
    *,
    restart: bool = False,
    piece_documents: int | None = None,
    progress: LoadProgress | None = None,
) -> LoadReport:
    """Brings a source into a collection; what an earlier start has stored is not read again, if its plan is
    there (`restart` makes a new one). `piece_documents` are embedded and stored at once, None leaves it to
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
        size = piece_documents or piece_documents_for(encoders.of(session.live().generation))
        load = begin(session, source, size, restart=restart)
        try:
            _Loading(session, source, load, adding, progress).run()
        finally:
            views.forget()
        report = finish(session, load, adding)
    report.added.seconds = time.perf_counter() - started
    return report


class _Loading:
    def __init__(
        self, session: Session, source: BulkSource, load: Load, adding: Adding, progress: LoadProgress | None
    ) -> None:
        self._session = session
        self._source = source
        self._load = load
        self._adding = adding
        self._progress = progress
        self._writer = Writer(session, load)
        self._said = time.monotonic()

    def run(self) -> None:
        for shard, done in shards_to_do(self._session, self._load):
            try:
                self._run_shard(shard, done)
            except _CannotRead as error:
                self._writer.note_bad(shard.number, str(error))
            self._say()
        self._say(now=True)

    def _run_shard(self, shard: ShardPlan, done: Done) -> None:
        for piece in _read(self._source, shard, done):
            report = PieceReport(STALE)
            while report.outcome == STALE:  # another generation became live meanwhile
                live = self._session.live()
                maker = self._adding.maker_of(live)
                report = bring_piece(self._writer, piece, live.generation.id, maker)
            self._say()

    def _say(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._said > _SAID_EVERY:
            report = report_of(self._session, self._load)
            if self._progress is not None:
                self._progress(report)
            self._adding.after_batch(report.added)
            self._said = time.monotonic()


def bring_piece(store: PieceStore, piece: Piece, generation: int, maker: Maker) -> PieceReport:
    """Embeds what is new or changed of a piece, and stores it. `maker` makes codes for `generation`; if
    another one is live, the outcome is `stale`, and nothing was embedded or stored.
    """
    while True:
        wanted = store.changed(piece)
        if wanted.stored:
            return PieceReport(THERE)
        if wanted.places and wanted.generation != generation:
            return PieceReport(STALE)
        report = store.store(piece, embed_piece(piece, wanted, maker))
        if report.outcome != AGAIN:
            return report


class _CannotRead(Exception):
    """A shard cannot be read to its end."""


def _read(source: BulkSource, shard: ShardPlan, done: Done) -> Iterator[Piece]:
    """The pieces of a shard; what hinders to read it is told apart from what hinders to store it."""
    pieces = source.read(shard, done)
    while True:
        try:
            piece = next(pieces, None)
        except (BadInput, OSError) as error:
            raise _CannotRead(str(error)) from error
        if piece is None:
            return
        yield piece
