"""Keeps the views of a collection near the log, and hands a query one consistent set of readers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from indexing import faults
from indexing.catalog.generations import read_generation
from indexing.errors import CorruptView, DiskFull, LockedError, MilvusFailed, StorageError
from indexing.lexical import LexicalReader
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.files import FolderLock
from indexing.storage.private import own_folder
from indexing.views.base import View
from indexing.views.columns import ColumnView
from indexing.views.lexical import LexicalView
from indexing.views.milvus import MilvusView
from indexing.views.milvus_leftovers import drop_others
from indexing.views.sparse import SparseView
from indexing.views.sparse_reader import SparseReader
from indexing.views.vectors import AnyVectorView, VectorReader, VectorView, make_vector_view

__all__ = ["Readers", "Views"]

logger = logging.getLogger(__name__)

# A process that only searches spends at most this share of its time on following the log of another.
FOLLOW_SHARE = 0.1
HELD_GENERATIONS = 3

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True)
class Readers:
    """What one query works with from start to end; `keyword_lag` in changes of the log, `terms` are weighted
    ones, None where the generation has none.
    """

    live: Live
    vectors: VectorReader | None
    words: LexicalReader
    keyword_lag: int
    terms: SparseReader | None = None


class Views:
    """The views of what is served, with their one lock."""

    def __init__(self, session: Session) -> None:
        self._session = session
        place = session.place
        what = f"the index of collection {place.name!r}"
        self._lock = FolderLock(own_folder(place.locks), "views.lock", what)
        self.words = LexicalView(session)
        self.columns = ColumnView(session)
        self._vectors: dict[tuple[int, str], AnyVectorView] = {}
        self._terms: dict[int, SparseView] = {}
        self._readers: dict[tuple[int, str], Readers] = {}
        self._follow_again = 0.0
        self._hindered = False  # a view is far behind and could not be published
        self._wrote = False  # this process did since readers were made: they have to know all of it
        self._own_seq = 0
        self._discard_the_future()

    def vectors(self, live: Live) -> AnyVectorView | None:
        """The vector view of what is served, the same object as long as that is the same; None before there
        is a vector.
        """
        if live.codec is None:
            return None
        key = _key(live)
        view = self._vectors.get(key)
        if view is None or not view.serves(live):
            view = make_vector_view(self._session, live.generation, live.serving.engine, live.codec)
            self._vectors = {**_newest(self._vectors), key: view}
        return view

    def terms(self, live: Live) -> SparseView | None:
        """The view of weighted terms of what is served; None where it has none."""
        if "sparse" not in (live.generation.beside or {}):
            return None
        id_ = live.generation.id
        if id_ not in self._terms:
            self._terms = {**_newest(self._terms), id_: SparseView(self._session, live.generation)}
        return self._terms[id_]

    def of(self, live: Live) -> tuple[View, ...]:
        """Every view of what is served."""
        passages = (self.vectors(live), self.terms(live))
        return (*(view for view in passages if view is not None), self.words, self.columns)

    def _discard_the_future(self) -> None:
        """Takes views out of use that are ahead of the log: the catalog was replaced by an older copy."""
        if any(view.is_ahead() for view in self.of(self._session.live())):
            logger.warning("the views are ahead of the catalog, which must be an older copy: rebuilding them")
            for view in self.of(self._session.live()):
                with suppress(LockedError, MilvusFailed):  # whoever brings it up finds that out too
                    view.discard()
            self.forget()

    def readers(self, live: Live) -> Readers:
        """Readers for what is live; follows the log first where that is due and no other process does."""
        held = self._readers.get(_key(live))
        same = held is not None and held.live.state == live.state
        if held is not None and same and not held.keyword_lag and not self._hindered:
            return held if held.live.serving.id == live.serving.id else replace(held, live=live)
        with _asking_once(self.vectors(live)):
            made = self._follow_and_read(live)
        if made.vectors is None or not made.vectors.away:
            # Returned as it is, as another thread may forget it at once.
            self._readers = {**_newest(self._readers), _key(live): made}
        return made

    def _follow_and_read(self, live: Live) -> Readers:
        promised = self.words.seq()
        self.follow(live)
        made = self._make_readers(live)
        if made.keyword_lag and self.words.seq() < promised:
            # The snapshot that seemed to be near the log is of no use here: it was not one to wait with.
            self._follow_again = 0.0
            self.follow(live)
            made = self._make_readers(live)
        return made

    def _make_readers(self, live: Live) -> Readers:
        vectors, terms = self.vectors(live), self.terms(live)
        with self._session.looking() as (connection, state):
            if self._wrote:
                self._wrote, self._own_seq = False, state.last_seq
            words = self.words.reader(connection, self._own_seq)
            rows = None if vectors is None else vectors.reader(connection)
            weighted = None if terms is None else terms.reader(connection)
        return Readers(live, rows, words, max(0, live.state.last_seq - words.tail.seq), weighted)

    def follow(self, live: Live) -> None:
        """Brings views that are far behind to the log, unless another process holds their lock or it was done
        just now.
        """
        if time.monotonic() < self._follow_again:
            return
        started = time.monotonic()
        far = [view for view in self.of(live) if view.is_behind(by_much=True)]
        self._hindered = bool(far)
        if not far:
            return
        self._hindered = not self._try_to_advance(live, far, briefly=True) or _is_far_still(far)
        self._follow_again = time.monotonic() + (time.monotonic() - started) / FOLLOW_SHARE

    def follow_columns(self, live: Live) -> None:
        """The same for the metadata alone, which takes a small part of the time."""
        if time.monotonic() >= self._follow_again and self.columns.is_behind(by_much=True):
            self._try_to_advance(live, [self.columns])

    def catch_up(self, live: Live) -> bool:
        """Brings all views to the log, however long that takes, as far as nothing hinders it."""
        return self._try_to_advance(live, self.of(live))

    def _try_to_advance(self, live: Live, views: Iterable[View], *, briefly: bool = False) -> bool:
        try:
            self._advance(live, views, briefly=briefly)
        except LockedError:
            logger.debug("another process is writing the views")
        except DiskFull as error:
            # Searching must go on without room for a new snapshot: the log itself is complete.
            logger.warning("the views could not follow the log: %s", error)
        except StorageError as error:
            # The lock or the folder is somebody else's; what is wrong with the log itself is met again.
            logger.debug("the views could not follow the log: %s", error)
        else:
            return True
        return False

    def publish(self, live: Live) -> bool:
        """Brings all views to the log now; False if another process holds their lock."""
        try:
            self._advance(live, self.of(live))
        except LockedError:
            return False
        self._readers = {}
        return True

    def renew(self, served: Sequence[Live]) -> None:
        """Makes every view of what is served anew from the log alone and removes all older files, those of
        other generations and engines too. A view that has no room is removed, and made by a later search.
        Searches go on meanwhile: the session's lock is not held.

        Raises:
            LockedError: another process is writing the views.
            StorageError: one could not be made anew, as Milvus is away; all the others were.
        """
        with self._new_lock():
            faults.point("renew.before")
            keys = {_key(live) for live in served}
            VectorView.remove_others(self._session, keys)
            SparseView.remove_others(self._session, {generation for generation, _ in keys})
            hindered = _renew_all(self._views_of(served))
            try:
                drop_others(self._session, keys)
            except (LockedError, StorageError) as error:
                hindered = hindered or error
        self.release()
        if hindered is not None:
            raise hindered

    def _views_of(self, served: Sequence[Live]) -> list[View]:
        """Every view of these, as objects of their own: those that searches use stay as they are."""
        made: dict[tuple[int, str], View] = {}
        for live in served:
            generation, engine = live.generation, live.serving.engine
            if live.codec is not None:
                made[_key(live)] = make_vector_view(self._session, generation, engine, live.codec)
            if "sparse" in (generation.beside or {}):
                made[generation.id, ""] = SparseView(self._session, generation)
        return [*made.values(), LexicalView(self._session), ColumnView(self._session)]

    def release(self) -> None:
        """Lets go of every snapshot that this process has open and nobody is reading."""
        with self._session.lock:
            self._vectors, self._terms = {}, {}
            self.words.release()
            self.columns.release()
            self.forget()

    def followed(self, live: Live) -> tuple[int, dict[int, int]]:
        """How far the views on the disk are: the log's `seq`, and the change of each generation with one.

        Of the live generation only the engine that is served counts: a view in another one stays where it was
        when that was served, and is made anew when it is again.
        """
        changes: dict[int, int] = {}
        for (generation, engine), change in VectorView.followed(self._session, live.serving.engine).items():
            if generation != live.generation.id or engine == live.serving.engine:
                changes[generation] = min(change, changes.get(generation, change))
        for generation, change in SparseView.followed(self._session).items():
            changes[generation] = min(change, changes.get(generation, change))
        return min(self.words.seq(), self.columns.seq()), changes

    def remove_other_engines(self, live: Live) -> None:
        """Removes views of the live generation in engines that are not served, unless one is being made."""
        with suppress(LockedError), self._new_lock():
            VectorView.remove_all(self._session, live.generation.id, but=live.serving.engine)

    def _new_lock(self) -> FolderLock:
        """The lock of the views, for a thread that does not hold the session's."""
        return FolderLock(self._lock.path.parent, self._lock.path.name, self._lock.what)

    def prepare(self, generation_id: int, engine: str, *, by_much: bool = False) -> None:
        """Makes the views of a generation's passages that is about to be live, so that no search has to wait
        for it; with `by_much` only if it is far behind. Searches go on meanwhile: the session's lock is not
        held.
        """
        with self._session.looking() as (connection, _):
            generation = read_generation(connection, generation_id)
        if generation is None or not generation.codec:
            return
        codec = Codec.from_json(generation.codec)
        views: list[View] = [make_vector_view(self._session, generation, engine, codec)]
        if "sparse" in (generation.beside or {}):
            views.append(SparseView(self._session, generation))
        try:
            with self._new_lock():
                for view in views:
                    if view.is_behind(by_much=by_much):
                        view.publish()
        except LockedError:
            logger.debug("another process is writing the views; the first search makes this one")

    def remove_generation(self, generation_id: int) -> None:
        """Removes the snapshots of a generation that is being dropped.

        Raises:
            LockedError: another process is writing the views.
        """
        with self._new_lock():
            VectorView.remove_all(self._session, generation_id)
            SparseView.remove_all(self._session, generation_id)

    def _advance(self, live: Live, views: Iterable[View], *, briefly: bool = False) -> None:
        """Publishes what is behind; from the log alone if the snapshot to start from turns out damaged."""
        with self._lock:
            try:
                _publish_all(views, briefly=briefly)
            except CorruptView:
                self.examine(live)
                _publish_all(views, briefly=briefly)

    def forget(self) -> None:
        """After this process wrote: the next query looks at the log again, and follows it at once."""
        self._readers = {}
        self._wrote = True
        self._follow_again = 0.0

    def discard(self) -> None:
        """Takes every snapshot out of use, sound or not; the log has all that is needed to make new ones."""
        for view in self.of(self._session.live()):
            view.discard()
        self.forget()

    def examine(self, live: Live) -> None:
        """After a snapshot turned out damaged, or gone, while it was read: sets damaged ones aside."""
        for view in self.of(live):
            view.examine()
        self.forget()


def _key(live: Live) -> tuple[int, str]:
    """By what readers of servings differ."""
    return live.generation.id, live.serving.engine


def _newest(held: dict[K, T]) -> dict[K, T]:
    """Room for one more: what is served, and one or two that it is compared with."""
    return dict(list(held.items())[-(HELD_GENERATIONS - 1) :])


def _renew_all(views: Iterable[View]) -> LockedError | StorageError | None:
    """Each; what hindered the first that could not be."""
    hindered: LockedError | StorageError | None = None
    for view in views:
        try:
            view.renew()
        except DiskFull as error:
            logger.warning("a view has no room and is removed: %s", error)
            view.discard()
        except (LockedError, StorageError) as error:
            hindered = hindered or error
        faults.point("renew.inside")
    return hindered


def _asking_once(view: AnyVectorView | None) -> AbstractContextManager[None]:
    return view.at_one_state() if isinstance(view, MilvusView) else nullcontext()


def _is_far_still(views: Iterable[View]) -> bool:
    """Rows come to Milvus step by step."""
    return any(isinstance(view, MilvusView) and view.is_behind(by_much=True) for view in views)


def _publish_all(views: Iterable[View], *, briefly: bool = False) -> None:
    """`briefly`: a search waits for it, which goes on with a part of what is to be brought to Milvus."""
    faults.point("publish.before")
    hindered: LockedError | MilvusFailed | None = None
    for view in views:
        try:
            if briefly and isinstance(view, MilvusView):
                view.publish_some()
            else:
                view.publish()
        except (LockedError, MilvusFailed) as error:  # at a server: those of this host need not wait
            hindered = hindered or error
    if hindered is not None:
        raise hindered
    faults.point("publish.after")
