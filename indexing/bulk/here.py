"""A bulk load in this process, without a cluster: the same plan, the same pieces, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from indexing.bulk.bringing import bring_piece
from indexing.bulk.driver import Tell, run_load
from indexing.bulk.loads import Load
from indexing.bulk.pieces import BulkSource, Done, OtherPieces, Piece, ShardPlan
from indexing.bulk.report import STALE, LoadProgress, LoadReport
from indexing.bulk.writer import Writer
from indexing.errors import BadInput
from indexing.generations.makers import Maker
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.views.manager import Views
from indexing.writing.add import Adding

__all__ = ["load_here"]


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
    """Brings a source into a collection by this process alone; see `indexing.bulk.driver.run_load`."""
    adding = Adding(session, views, encoders)

    def bring_all(load: Load, todo: Iterator[tuple[int, Done]], tell: Tell) -> bool:
        writer = Writer(session, load)
        live = session.live()
        if live.generation.id != load.generation:
            return True
        maker = adding.maker_of(live)
        return any(_bring_shard(writer, load, maker, source, number, tell) for number, _ in todo)

    return run_load(
        session,
        views,
        encoders,
        source,
        bring_all,
        restart=restart,
        piece_documents=piece_documents,
        progress=progress,
    )


def _bring_shard(
    writer: Writer, load: Load, maker: Maker, source: BulkSource, number: int, tell: Tell
) -> bool:
    """Reads and stores a shard; whether another generation became live meanwhile."""
    try:
        try:
            return _bring_pieces(writer, load, maker, source, number, tell)
        except OtherPieces:
            writer.begin_anew(number, writer.shard(number)[1])
        return _bring_pieces(writer, load, maker, source, number, tell)
    except _CannotRead as error:
        writer.note_bad(number, str(error))
    return False


def _bring_pieces(
    writer: Writer, load: Load, maker: Maker, source: BulkSource, number: int, tell: Tell
) -> bool:
    shard, done = writer.shard(number)
    for piece in _read(source, shard, done):
        report = bring_piece(writer, piece, load.generation, maker)
        if report.outcome == STALE:
            return True
        tell(report)
    return False


class _CannotRead(Exception):
    """A shard cannot be read to its end."""


def _read(source: BulkSource, shard: ShardPlan, done: Done) -> Iterator[Piece]:
    """The pieces of a shard; what hinders to read it is told apart from what hinders to store it."""
    pieces = source.read(shard, done)
    while True:
        try:
            piece = next(pieces, None)
        except OtherPieces:
            raise
        except (BadInput, OSError) as error:
            raise _CannotRead(str(error)) from error
        if piece is None:
            return
        yield piece
