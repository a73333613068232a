"""What views at a server have in common: rows are found there by key, and scored by the catalog's codes.

The rows of one are the chunks that a generation had at the change its server has followed to, as far as they
are in the catalog still: their keys are read from there and held here. What the server has besides is no
answer, and what was committed later is scanned exactly.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch, removals_after
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.reads import decode_rows
from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.segments import Sorted, sort_with_order
from indexing.vectors import VectorIndex
from indexing.vectors.fetched import FetchedCodes
from indexing.vectors.segment import Rows
from indexing.views.chunk_view import ChunkView
from indexing.views.vector_reader import VectorReader
from stlib.util.forks import cached_property

__all__ = ["CHECKED_ROWS", "ServerSegment", "ServerSnapshot", "ServerView", "State"]

CHECKED_ROWS = 5_000
"""Rows whose vectors are compared with the catalog's codes at once."""


class ServerSegment:
    """The rows at a server, in the order of the log: what a `VectorSegment` is to a folder."""

    def __init__(self, codes: FetchedCodes, doc_keys: np.ndarray, engine: type[VectorIndex]) -> None:
        self.engine = engine.engine
        self.keys, self.doc_keys, self.codes = codes.keys, doc_keys, codes
        self.index = engine.build(codes.codec, codes)

    def __len__(self) -> int:
        return len(self.keys)

    def ensure_whole(self) -> None:
        """The server checks its pages itself."""

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        """The rows of those of `keys` (int64) that are here."""
        return self.codes.rows_of(keys)

    @cached_property
    def by_document(self) -> Sorted:
        """Rows ordered by document (None: as they are), and the document keys in that order."""
        return sort_with_order(self.doc_keys)


class ServerSnapshot:
    """The rows of a generation that `state` tells of, as they are at `change`."""

    def __init__(self, change: int, state: State, segment: ServerSegment) -> None:
        self.change, self.state, self.number = change, state, state.number
        self.segment = segment
        self.segments = [segment] if len(segment) else []
        self.meta: dict[str, Any] = {"change": change}

    def gone_rows(self, segment: ServerSegment, removed: np.ndarray) -> np.ndarray:
        return np.sort(segment.rows_of_keys(removed))

    def verify(self) -> None:
        """There is nothing to read: the view compares rows with the catalog."""


class State(Protocol):
    """How far the rows `number` have followed."""

    @property
    def change(self) -> int: ...

    @property
    def number(self) -> int: ...


class ServerView(ChunkView[ServerSnapshot, VectorReader, Rows]):
    """Follows the rows of one generation at a server. A subclass knows the server."""

    engine: ClassVar[type[VectorIndex]]

    def __init__(self, session: Session, generation: GenerationInfo, codec: Codec) -> None:
        self._codec = codec
        self._snapshot: ServerSnapshot | None = None
        super().__init__(
            session, generation, session.place.views / "vectors", f"{generation.id}-{self.engine.engine}"
        )

    # --- what a subclass knows -----------------------------------------------------------------------------

    def _read_keys(self, connection: Connection, after: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys and documents, int64 [n] each, of the chunks from changes after `after` up to `last`."""
        raise NotImplementedError

    def _codes_at(self, state: State, keys: np.ndarray) -> FetchedCodes:
        """The codes of those rows of `state` that have these keys, int64 [n]."""
        raise NotImplementedError

    def _differences(self, connection: Connection) -> str | None:
        """What differs from the catalog in the rows that serve now."""
        raise NotImplementedError

    # --- reading -------------------------------------------------------------------------------------------

    def serves(self, live: Live) -> bool:
        """Whether this is the view of what is live."""
        return (self._generation.id, self.engine.engine) == (live.generation.id, live.serving.engine)

    def _at(self, connection: Connection, state: State, change: int, purged: int) -> ServerSnapshot:
        """The rows of `state` as they are at `change`."""
        known = self._snapshot
        # A number may be used again, and Milvus' clock has gone on then: the whole state has to be the same.
        if known is None or (known.change, known.state) != (change, state):
            known = self._snapshot = self._read_snapshot(connection, state, change, purged)
        return known

    def _read_snapshot(
        self, connection: Connection, state: State, change: int, purged: int
    ) -> ServerSnapshot:
        """What the server holds; only what is new where one of an earlier change is known."""
        known = self._snapshot
        after = 0 if known is None or not purged <= known.change <= change else known.change
        keys, doc_keys = self._read_keys(connection, after, change)
        if known is not None and after:
            removed = removals_after(connection, self._generation.id, after, change)
            kept = ~np.isin(known.segment.keys, removed)
            keys = np.concatenate([known.segment.keys[kept], keys])
            doc_keys = np.concatenate([known.segment.doc_keys[kept], doc_keys])
        codes = self._codes_at(state, keys)
        return ServerSnapshot(change, state, ServerSegment(codes, doc_keys, self.engine))

    def newest(self) -> ServerSnapshot | None:
        """The rows as they are now."""
        with reading(self._session.database) as connection:
            return self._newest(connection, self._purged(connection))[1]

    def _decode(self, batch: ChunkBatch) -> Rows:
        codes = decode_rows(b"".join(batch.codes), len(batch.keys), self._codec)
        return Rows(batch.keys, batch.document_keys, codes)

    def _reader_of(self, snapshot: ServerSnapshot | None, change: int) -> VectorReader:
        return VectorReader.of(self._codec, snapshot, change)

    def _follow(self, reader: VectorReader, rows: Rows, removed: np.ndarray, change: int) -> VectorReader:
        return reader.follow(rows, removed, change)

    def file_bytes(self) -> tuple[int, int]:
        """Bytes that this process holds, and none that are mapped: the rest is the server's."""
        return (0 if self._snapshot is None else 16 * len(self._snapshot.segment)), 0

    # --- checking ------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        self._held = self._snapshot = None

    def examine(self) -> list[str]:
        """Looks again at what the server has, which checks its own files."""
        self._let_go()
        return []

    def check(self) -> list[str]:
        problem = self._find_difference()
        if problem is None:
            return []
        self.discard()
        return [f"{self.what}: {problem}"]

    def _find_difference(self) -> str | None:
        try:
            return self._look_for_difference()
        except CorruptView:  # made anew at this moment
            return self._look_for_difference()

    def _look_for_difference(self) -> str | None:
        self.examine()
        with reading(self._session.database) as connection:
            return self._differences(connection)
