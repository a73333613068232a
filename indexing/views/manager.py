"""Keeps both views of a collection near the log, and hands a query one consistent set of readers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from indexing import faults
from indexing.catalog.generations import read_generation
from indexing.errors import CorruptView, DiskFull, LockedError
from indexing.lexical import LexicalSnapshot
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.files import FolderLock
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

    live: Live
    vectors: VectorReader | None
    words: LexicalSnapshot | None
    keyword_lag: int


class Views:
    """The vector view of what is served and the keyword view, with their one lock."""

    def __init__(self, session: Session) -> None:
        self._session = session
        place = session.place
        what = f"the index of collection {place.name!r}"
        self._lock = FolderLock(own_folder(place.locks), "views.lock", what)
        self.words = LexicalView(session)
        self._vectors: VectorView | None = None
        self._readers: Readers | None = None
        self._follow_again = 0.0
        self._discard_the_future()

    def vectors(self, live: Live) -> VectorView:
        """The vector view of what is served; the same object as long as that is the same."""
        view = self._vectors
        if view is None or not view.serves(live):
            view = self._vectors = VectorView(self._session, live.generation, live.serving.engine)
        return view

    def _discard_the_future(self) -> None:
        """Takes views out of use that are ahead of the log: the catalog was replaced by an older copy."""
        live = self._session.live()
        words, vectors = (
            self.words.seq(),
            self.vectors(live).change(),
        )  # looked up before the log, which grows
        with self._session.looking() as (connection, state):
            generation = read_generation(connection, live.generation.id)
        if words > state.last_seq or (generation is not None and vectors > generation.last_change):
            logger.warning("the views are ahead of the catalog, which must be an older copy: rebuilding them")
            self.discard()

    def readers(self, live: Live) -> Readers:
        """Readers for what is live; follows the log first where that is due and no other process does."""
        held = self._readers
        if held is not None and held.live.state == live.state and not held.keyword_lag:
            return held
        self._follow(live)
        with self._session.looking() as (connection, _):
            vectors = None if live.codec is None else self.vectors(live).reader(connection, live.codec)
        seq, words = self.words.newest()
        made = Readers(live, vectors, words, max(0, live.state.last_seq - seq))
        self._readers = made  # another thread may forget it again at once
        return made

    def _follow(self, live: Live) -> None:
        """Brings the views near the log unless another process holds their lock or it was done just now."""
        if time.monotonic() < self._follow_again:
            return
        started = time.monotonic()
        try:
            self._advance(live, TAIL_ROWS)
        except LockedError:
            logger.debug("another process is writing the views")
        except DiskFull as error:
            # Searching must go on without room for a new snapshot: the log itself is complete.
            logger.warning("the views could not follow the log: %s", error)
        self._follow_again = time.monotonic() + (time.monotonic() - started) / FOLLOW_SHARE

    def publish(self, live: Live) -> bool:
        """Brings both views to the log now; False if another process holds their lock."""
        try:
            self._advance(live, 0)
        except LockedError:
            return False
        self._readers = None
        return True

    def followed(self) -> tuple[int, dict[int, int]]:
        """How far the views on the disk are: the log's `seq`, and the change of each generation with one."""
        return self.words.seq(), VectorView.followed(self._session)

    def prepare(self, generation_id: int, engine: str) -> None:
        """Makes the vector view of a generation that is about to be live, so that no search has to wait for
        it.
        """
        with self._session.looking() as (connection, _):
            generation = read_generation(connection, generation_id)
        if generation is None or not generation.codec:
            return
        view = VectorView(self._session, generation, engine)
        try:
            with self._lock:
                if view.is_behind(0):
                    view.publish(Codec.from_json(generation.codec))
        except LockedError:
            logger.debug("another process is writing the views; the first search makes this one")

    def remove_generation(self, generation_id: int) -> None:
        """Removes the snapshots of a generation that was dropped."""
        with self._lock:
            VectorView.remove_all(self._session, generation_id)

    def _advance(self, live: Live, longest_tail: int) -> None:
        """Publishes what is behind; from the log alone if the snapshot to start from turns out damaged."""
        with self._lock:
            try:
                self._publish(live, longest_tail)
            except CorruptView:
                self.examine(live)
                self._publish(live, longest_tail)

    def _publish(self, live: Live, longest_tail: int) -> None:
        faults.point("publish.before")
        if self.words.newest()[0] < live.state.last_seq:
            self.words.publish(live.state.last_seq)
        if live.codec is not None and self.vectors(live).is_behind(longest_tail):
            self.vectors(live).publish(live.codec)
        faults.point("publish.after")

    def forget(self) -> None:
        """Drops the readers, so that the next query opens what is on the disk; follows the log at once."""
        self._readers = None
        self._follow_again = 0.0

    def discard(self) -> None:
        """Takes every snapshot out of use, sound or not; the log has all that is needed to make new ones."""
        self.vectors(self._session.live()).discard()
        self.words.discard()
        self.forget()

    def examine(self, live: Live) -> None:
        """After a snapshot turned out damaged, or gone, while it was read: sets damaged ones aside."""
        if live.codec is not None:
            self.vectors(live).examine(live.codec)
        self.words.examine()
        self.forget()
