"""The stages of a load, as Ray Data runs them in its processes: rows in, rows out.

    a row for each shard ▸ read_shards ▸ a row for each piece ▸ Embedder ▸ a row for each outcome

A row of a shard has its number, and which pieces of it were stored when the stages began: a `Done`.

A row of a piece is `Piece.to_row()` with a `reason`, which says why a shard cannot be read, and an `error`,
which ends the load; both are empty for all else. A row of an outcome says what became of a piece, or which
error ends the load.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
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
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")

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
            for piece in _read(row, foreman):
                yield _table({**piece.to_row(), "reason": "", "error": ""})
        except (BadInput, OSError) as error:
            reason = str(error) or type(error).__name__
            yield _table({**_nothing(number), "reason": reason, "error": ""})
        except IndexingError as error:  # of this kind it is no more once Ray has passed it on
            yield _table({**_nothing(number), "reason": "", "error": json.dumps(error_to_row(error))})
            return


def _read(row: Row, foreman: Any) -> Iterator[Piece]:
    number = int(row["shard"])
    plan = ShardPlan(**_call(foreman.shard, number))
    try:
        yield from _reader_here().read(plan, Done(row["stored"], frozenset(row["beyond"]), row["digest"]))
    except OtherPieces:  # it is read from its beginning when the stages run again
        _call(foreman.begin_anew, number, row["stored"], row["digest"])


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
        place = ray.get(foreman.hello.remote(ray.get_runtime_context().get_actor_id()))
        self._generation = settings.maker.generation
        self._failed: IndexingError | None = None
        try:
            with _computing_with(settings.threads, place):
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
            if row["error"]:
                return _outcome(row, ERROR, json.loads(row["error"]))
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


@contextlib.contextmanager
def _computing_with(threads: int, place: int | None) -> Iterator[None]:
    """Models that are loaded meanwhile compute with so many threads: libraries take as many as they are told,
    or as there are cores. A process with a place of its own stays on the cores of that place; for another one
    the system chooses, as others may compute there.
    """
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    mine = [] if place is None else cores[place * threads : (place + 1) * threads]
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, mine or cores[:threads])
    try:
        yield
    finally:
        if len(mine) < threads:
            _use_cores(cores)


def _use_cores(cores: Sequence[int]) -> None:
    """Lets this thread, and those that the models have started, run on all of `cores`."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cores)
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setaffinity(int(thread.name), cores)
