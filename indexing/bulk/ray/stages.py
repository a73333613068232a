"""The stages of a load, as Ray Data runs them in its processes: rows in, rows out.

    a row for each shard ▸ read_shards ▸ a row for each piece ▸ Embedder ▸ a row for each outcome

A row of a shard has its number, and which pieces of it were stored when the stages began: a `Done`.

A row of a piece is `Piece.to_row()` with a `reason`, which says why a shard cannot be read and is empty for
all else. A row of an outcome says what became of a piece, or which error ends the load.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from indexing.bulk.bringing import PieceStore, bring_piece
from indexing.bulk.loads import Load
from indexing.bulk.pieces import Done, EmbeddedPiece, OtherPieces, Piece, ShardPlan
from indexing.bulk.ray.foreman import BEGUN_MOST, open_session
from indexing.bulk.ray.settings import WorkSettings, error_from_row, error_to_row
from indexing.bulk.report import PieceReport, ToEmbed
from indexing.bulk.shards import ShardReader
from indexing.bulk.writer import Writer
from indexing.errors import BadInput, IndexingError
from stlib.util.forks import ThreadLock

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BAD", "ERROR", "Embedder", "read_shards"]

BAD, ERROR = "bad", "error"
"""What became of a piece, besides the outcomes of a `PieceReport`."""

Row = dict[str, Any]

_NO_PIECE = -1

_reader: ShardReader | None = None
_reader_lock = ThreadLock()


def read_shards(table: pa.Table, foreman: Any) -> Iterator[pa.Table]:
    """Reads shards, piece by piece, but for those that were stored when the stages began, which the row says:
    Ray runs a task again whose process died, and passes over as many rows as it has had. So the rows must be
    the same each time, whatever was stored since. Ray uses the process of a task for others: the reader of
    the process stays.
    """
    for row in table.to_pylist():
        number = int(row["shard"])
        try:
            plan = ShardPlan(**_call(foreman.shard, number))
            done = Done(row["stored"], frozenset(row["beyond"]), row["digest"])
            for piece in _reader_here().read(plan, done):
                yield _table({**piece.to_row(), "reason": ""})
        except OtherPieces:  # it is read from its beginning when the stages run again
            _call(foreman.begin_anew, number, row["stored"], row["digest"])
        except (BadInput, OSError) as error:
            yield _table({**_nothing(number), "reason": str(error) or type(error).__name__})


def _reader_here() -> ShardReader:
    global _reader
    with _reader_lock:
        if _reader is None:
            _reader = ShardReader()
        return _reader


def _nothing(shard: int) -> Row:
    return Piece(shard, _NO_PIECE, ()).to_row()


def _call(method: Any, *arguments: Any) -> Row:
    """Asks the foreman, and raises what went wrong there."""
    import ray

    row: Row = ray.get(method.remote(*arguments))
    if "error" in row:
        raise error_from_row(row)
    return row


class Embedder:
    """One process of the pool: asks what changed of a piece, embeds that, stores it, and takes the next one
    only then, so that no more than one piece is lost with it.
    """

    def __init__(self, foreman: Any) -> None:
        import ray

        self._foreman = foreman
        settings = WorkSettings.from_text(ray.get(foreman.settings.remote()))
        context = ray.get_runtime_context()
        slot = ray.get(foreman.hello.remote(context.get_node_id(), context.get_actor_id()))
        _keep_to_cores(slot, settings.threads)
        self._generation = settings.maker.generation
        self._failed: IndexingError | None = None
        try:
            self._maker = settings.maker.load()
            self._store = self._open_store(settings)
        except IndexingError as error:
            self._failed = error

    def _open_store(self, settings: WorkSettings) -> PieceStore:
        if settings.direct:
            return Writer(open_session(settings), Load.from_row(settings.load))
        return _StoreByForeman(self._foreman)

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        return pa.Table.from_pylist([self._bring(row) for row in table.to_pylist()])

    def _bring(self, row: Row) -> Row:
        try:
            if self._failed is not None:
                raise self._failed
            if row["reason"]:
                return self._note_bad(row, row["reason"])
            return self._store_piece(row)
        except IndexingError as error:
            return _outcome(row, ERROR, error_to_row(error))

    def _store_piece(self, row: Row) -> Row:
        import ray

        shard, number = int(row["shard"]), int(row["number"])
        if not ray.get(self._foreman.begin.remote(shard, number)):
            return self._note_bad(
                row,
                f"piece {number} of it ended {BEGUN_MOST} processes: a document in it takes more memory than"
                " there is, or the model crashes on it",
            )
        report = bring_piece(self._store, Piece.from_row(row), self._generation, self._maker)
        self._foreman.end.remote(shard, number)
        return _outcome(row, report.outcome, report.counts)

    def _note_bad(self, row: Row, reason: str) -> Row:
        _call(self._foreman.note_bad, int(row["shard"]), reason)
        return _outcome(row, BAD, {})


class _StoreByForeman:
    """A `PieceStore` that passes pieces on to the one process that writes."""

    def __init__(self, foreman: Any) -> None:
        self._foreman = foreman

    def changed(self, piece: Piece) -> ToEmbed:
        return ToEmbed.from_row(_call(self._foreman.changed, piece.to_row()))

    def store(self, piece: Piece, embedded: EmbeddedPiece) -> PieceReport:
        return PieceReport.from_row(_call(self._foreman.store, piece.to_row(), embedded.to_row()))


def _outcome(row: Row, outcome: str, said: Row) -> Row:
    return {
        "shard": int(row["shard"]),
        "number": int(row["number"]),
        "outcome": outcome,
        "said": json.dumps(said),
    }


def _table(row: Row) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist([row])


def _keep_to_cores(slot: int, threads: int) -> None:
    """A process computes with as many threads as it has cores, by whichever library it does: here those of
    its share.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    first = slot * threads % len(cores)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {cores[(first + at) % len(cores)] for at in range(threads)})
