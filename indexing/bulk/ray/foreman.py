"""The foreman: an actor on the driver's node that tells workers what to do, and notes what went wrong.

With a catalog in SQLite it stores for all of them, as one process writes there. It holds nothing that is not
in the catalog, but for how often a piece was begun: killed and started again, it goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import wraps
from typing import Any

from indexing.bulk.loads import Load
from indexing.bulk.pieces import Done, EmbeddedPiece, Piece
from indexing.bulk.ray.settings import WorkSettings, error_to_row
from indexing.bulk.writer import Writer
from indexing.creation import find
from indexing.errors import IndexingError, StorageError
from indexing.session import Session
from stlib.util.forks import cached_property

__all__ = ["BEGUN_MOST", "Foreman", "open_session"]

BEGUN_MOST = 5
"""How often a piece may end the process of its worker before its shard is taken for bad: now and then one
dies of something else."""

Row = dict[str, Any]


def _told(method: Callable[..., Row]) -> Callable[..., Row]:
    """Errors of ours go back as plain values: Ray would pickle them."""

    @wraps(method)
    def call(*arguments: Any) -> Row:
        try:
            return method(*arguments)
        except IndexingError as error:
            return error_to_row(error)

    return call


class Foreman:
    """What it gives and takes are plain values."""

    def __init__(self, settings: str) -> None:
        self._text = settings
        self._settings = WorkSettings.from_text(settings)
        self._begun: Counter[tuple[int, int]] = Counter()
        self._places: dict[str, int] = {}
        self._starts = 0

    def settings(self) -> str:
        """What a worker needs to know."""
        return self._text

    def hello(self, worker: str) -> int | None:
        """A worker begins, or begins again after it was killed: its place among those of our own instance.
        None where others may compute too, and where it is forgotten who has which place.
        """
        self._starts += 1
        if not self._settings.alone or _began_again():
            return None
        return self._places.setdefault(worker, len(self._places))

    def starts(self) -> int:
        """How often a worker has begun since a piece was stored or found to be."""
        return self._starts

    @_told
    def shard(self, number: int) -> Row:
        """A shard as planned."""
        return asdict(self._writer.shard(number)[0])

    @_told
    def changed(self, row: Mapping[str, Any]) -> Row:
        return self._writer.changed(Piece.from_row(row)).to_row()

    @_told
    def store(self, row: Mapping[str, Any], embedded: Mapping[str, Any]) -> Row:
        return self._writer.store(Piece.from_row(row), EmbeddedPiece.from_row(embedded)).to_row()

    @_told
    def note_bad(self, shard: int, reason: str) -> Row:
        self._writer.note_bad(shard, reason)
        return {}

    @_told
    def begin_anew(self, shard: int, stored: int, digest: str) -> Row:
        """A shard is not read as when the first `stored` pieces of it were."""
        self._writer.begin_anew(shard, Done(stored, digest=digest))
        return {}

    def begin(self, shard: int, number: int) -> bool:
        """A worker is about to embed a piece. False where that ended so many processes that it is to let it
        be.
        """
        self._begun[shard, number] += 1
        return self._begun[shard, number] <= BEGUN_MOST

    def end(self, shard: int, number: int) -> None:
        """A piece is stored."""
        self._begun.pop((shard, number), None)
        self._starts = 0

    @cached_property
    def _load(self) -> Load:
        return Load.from_row(self._settings.load)

    @cached_property
    def _session(self) -> Session:
        return open_session(self._settings)

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self._session, self._load)


def _began_again() -> bool:
    """Whether this process took the place of one that was killed."""
    import ray

    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


def open_session(settings: WorkSettings) -> Session:
    """The collection of a load, opened in another process than its driver's.

    Raises:
        StorageError: the catalog is not there, or is another one.
    """
    opened = find(settings.name, settings.home, settings.db, None)
    if opened.state.uuid != settings.uuid:
        opened.database.dispose()
        raise StorageError(f"{opened.place.catalog} holds another collection {settings.name!r} on this node")
    return Session(opened.database, opened.place, opened.state)
