"""Keeps both views of a collection near the log, and hands a query one consistent set of readers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from sqlalchemy import Engine

from indexing.catalog.collections import CollectionState, GenerationInfo
from indexing.catalog.database import reading
from indexing.errors import DiskFull, LockedError
from indexing.files import FolderLock
from indexing.lexical import LexicalSnapshot
from indexing.paths import Place
from indexing.quantization import Codec
from indexing.views.lexical import LexicalView
from indexing.views.vectors import TAIL_ROWS, VectorReader, VectorView

__all__ = ["Readers", "Views"]

logger = logging.getLogger(__name__)

# A process that only searches spends at most this share of its time on following the log of another.
FOLLOW_SHARE = 0.1


@dataclass(frozen=True)
class Readers:
    """What one query works with from start to end; `keyword_lag` in changes of the log."""

    state: CollectionState
    vectors: VectorReader | None
    words: LexicalSnapshot | None
    keyword_lag: int


class Views:
    """The vector view of the live generation and the keyword view, with their one lock."""

    def __init__(
        self, engine: Engine, place: Place, state: CollectionState, generation: GenerationInfo
    ) -> None:
        self._engine = engine
        self._generation = generation
        self._lock = FolderLock(place.locks, "views.lock")
        self.vectors = VectorView(engine, place.views / "vectors", generation)
        self.words = LexicalView(engine, place.views / "lexical", state.id, state.uuid)
        self._readers: Readers | None = None
        self._follow_again = 0.0

    def readers(self, state: CollectionState, codec: Codec | None) -> Readers:
        """Readers for `state`; follows the log first where that is due and no other process does."""
        held = self._readers
        if held is not None and held.state == state and not held.keyword_lag:
            return held
        self._follow(state, codec)
        with reading(self._engine) as connection:
            vectors = None if codec is None else self.vectors.reader(connection, codec)
        seq, words = self.words.newest()
        self._readers = Readers(state, vectors, words, max(0, state.last_seq - seq))
        return self._readers

    def _follow(self, state: CollectionState, codec: Codec | None) -> None:
        """Brings the views near the log unless another process holds their lock or it was done just now."""
        if time.monotonic() < self._follow_again:
            return
        started = time.monotonic()
        try:
            with self._lock:
                if self.words.newest()[0] < state.last_seq:
                    self.words.publish(state.last_seq)
                if codec is not None and self._tail_is_long(state):
                    self.vectors.publish(codec, state.last_seq)
        except LockedError:
            logger.debug("another process is writing the views")
        except DiskFull as error:
            # Searching must go on without room for a new snapshot: the log itself is complete.
            logger.warning("the views could not follow the log: %s", error)
        self._follow_again = time.monotonic() + (time.monotonic() - started) / FOLLOW_SHARE

    def _tail_is_long(self, state: CollectionState) -> bool:
        followed = self.vectors.seq()
        return state.last_seq - followed > max(TAIL_ROWS, followed // 10)

    def publish(self, state: CollectionState, codec: Codec | None) -> bool:
        """Brings both views to `state` now; False if another process holds their lock."""
        try:
            with self._lock:
                if self.words.newest()[0] < state.last_seq:
                    self.words.publish(state.last_seq)
                if codec is not None and self.vectors.seq() < state.last_seq:
                    self.vectors.publish(codec, state.last_seq)
        except LockedError:
            return False
        self._readers = None
        return True

    def forget(self) -> None:
        """Drops the readers, so that the next query opens what is on the disk; follows the log at once."""
        self._readers = None
        self._follow_again = 0.0

    def discard(self) -> None:
        """Takes every snapshot out of use, sound or not; the log has all that is needed to make new ones."""
        self.vectors.discard()
        self.words.discard()
        self.forget()

    def set_aside(self, reason: object) -> None:
        """Takes both open snapshots out of use, after one of them turned out damaged while it was read."""
        self.vectors.set_aside_current(reason)
        self.words.set_aside_current(reason)
        self.forget()
