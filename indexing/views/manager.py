"""Keeps both views of a collection near the log, and hands a query one consistent set of readers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from sqlalchemy import Engine

from indexing.catalog.collections import CollectionState, GenerationInfo, read_state
from indexing.catalog.database import reading
from indexing.errors import CorruptView, DiskFull, LockedError
from indexing.lexical import LexicalSnapshot
from indexing.quantization import Codec
from indexing.storage.files import FolderLock
from indexing.storage.paths import Place
from indexing.storage.private import own_folder
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
        self._lock = FolderLock(
            own_folder(place.locks), "views.lock", f"the index of collection {place.name!r}"
        )
        self.vectors = VectorView(engine, place.views / "vectors", generation, state.id, state.uuid)
        self.words = LexicalView(engine, place.views / "lexical", state.id, state.uuid)
        self._readers: Readers | None = None
        self._follow_again = 0.0
        self._discard_the_future(state.id)

    def _discard_the_future(self, collection_id: int) -> None:
        """Takes views out of use that are ahead of the log: the catalog was replaced by an older copy."""
        followed = max(self.vectors.seq(), self.words.seq())  # looked up first, as the log only grows
        with reading(self._engine) as connection:
            state = read_state(connection, collection_id)
        if state is not None and followed > state.last_seq:
            logger.warning("the views are ahead of the catalog, which must be an older copy: rebuilding them")
            self.discard()

    def readers(self, state: CollectionState, codec: Codec | None) -> Readers:
        """Readers for `state`; follows the log first where that is due and no other process does."""
        held = self._readers
        if held is not None and held.state == state and not held.keyword_lag:
            return held
        self._follow(state, codec)
        with reading(self._engine) as connection:
            vectors = None if codec is None else self.vectors.reader(connection, codec)
        seq, words = self.words.newest()
        made = Readers(state, vectors, words, max(0, state.last_seq - seq))
        self._readers = made  # another thread may forget it again at once
        return made

    def _follow(self, state: CollectionState, codec: Codec | None) -> None:
        """Brings the views near the log unless another process holds their lock or it was done just now."""
        if time.monotonic() < self._follow_again:
            return
        started = time.monotonic()
        try:
            self._advance(state, codec, max(TAIL_ROWS, self.vectors.seq() // 10))
        except LockedError:
            logger.debug("another process is writing the views")
        except DiskFull as error:
            # Searching must go on without room for a new snapshot: the log itself is complete.
            logger.warning("the views could not follow the log: %s", error)
        self._follow_again = time.monotonic() + (time.monotonic() - started) / FOLLOW_SHARE

    def publish(self, state: CollectionState, codec: Codec | None) -> bool:
        """Brings both views to `state` now; False if another process holds their lock."""
        try:
            self._advance(state, codec, 0)
        except LockedError:
            return False
        self._readers = None
        return True

    def _advance(self, state: CollectionState, codec: Codec | None, longest_tail: int) -> None:
        """Publishes what is behind; from the log alone if the snapshot to start from turns out damaged."""
        with self._lock:
            try:
                self._publish(state, codec, longest_tail)
            except CorruptView:
                self.examine(codec)
                self._publish(state, codec, longest_tail)

    def _publish(self, state: CollectionState, codec: Codec | None, longest_tail: int) -> None:
        if self.words.newest()[0] < state.last_seq:
            self.words.publish(state.last_seq)
        if codec is not None and state.last_seq - self.vectors.seq() > longest_tail:
            self.vectors.publish(codec)

    def forget(self) -> None:
        """Drops the readers, so that the next query opens what is on the disk; follows the log at once."""
        self._readers = None
        self._follow_again = 0.0

    def discard(self) -> None:
        """Takes every snapshot out of use, sound or not; the log has all that is needed to make new ones."""
        self.vectors.discard()
        self.words.discard()
        self.forget()

    def examine(self, codec: Codec | None) -> None:
        """After a snapshot turned out damaged, or gone, while it was read: sets damaged ones aside."""
        if codec is not None:
            self.vectors.examine(codec)
        self.words.examine()
        self.forget()
