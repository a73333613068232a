"""The keyword view: immutable tantivy snapshots that follow the document log, and the documents after them.

Independent of the model.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from indexing.catalog.collections import CollectionState
from indexing.catalog.database import reading
from indexing.catalog.following import size_after
from indexing.catalog.reads import count_documents, documents_after
from indexing.errors import CorruptView
from indexing.lexical import LexicalReader, LexicalSnapshot, LexicalTail, LexicalWriter, TailChange
from indexing.session import Session
from indexing.storage.published import verify_folder
from indexing.views.base import FEW_CHANGES
from indexing.views.folder import ViewFolder

__all__ = ["LexicalView"]

READ_DOCUMENTS = 2_000
# Word statistics count deleted documents until they are merged away; past this share the view is rebuilt.
MAX_DELETED = 0.05

# Newer documents are split into words when they are first searched, some 20 microseconds for a line of text;
# past these numbers a new snapshot is cheaper.
TAIL_DOCUMENTS = 512
TAIL_CHARACTERS = 500_000
# So many of what another process wrote are read where the snapshot cannot be made, as that process makes it.
MOST_FOREIGN = 4_096


class LexicalView:
    """Finds, builds and follows the keyword snapshots of one collection."""

    what = "keyword view"

    def __init__(self, session: Session) -> None:
        self._session = session
        folder = session.place.views / "lexical"
        self._folder: ViewFolder[LexicalSnapshot] = ViewFolder(folder, "words")
        self._tail = LexicalTail(0, 0)

    def reader(self, connection: Connection, own_seq: int) -> LexicalReader:
        """The newest snapshot with what was committed after it: all of it up to the change `own_seq`, which
        this process wrote, and of what others wrote as much as is reasonable.
        """
        state = self._session.row(connection)
        seq, snapshot = self._newest(state)
        tail = self._tail
        if tail.start != seq or tail.seq < state.purged_seq:
            tail = LexicalTail(seq, seq)
        while tail.seq < state.last_seq and (tail.seq < own_seq or len(tail.changed) < MOST_FOREIGN):
            rows = documents_after(connection, self._session.id, tail.seq, READ_DOCUMENTS)
            tail = tail.follow(TailChange(*row) for row in rows)
            if len(rows) < READ_DOCUMENTS:
                tail = tail.at(state.last_seq)
        self._tail = tail
        return LexicalReader(snapshot, tail)

    def _newest(self, state: CollectionState) -> tuple[int, LexicalSnapshot | None]:
        """(watermark, snapshot) of the newest sound snapshot; (0, None) if there is none that can go on."""
        newest = self._folder.newest(self._open)
        return (0, None) if newest is None or newest[0] < state.purged_seq else (newest[0], newest[2])

    def newest(self) -> tuple[int, LexicalSnapshot | None]:
        """(watermark, snapshot) of the newest sound snapshot; (0, None) if there is none."""
        newest = self._folder.newest(self._open)
        return (0, None) if newest is None else (newest[0], newest[2])

    def seq(self) -> int:
        return self._folder.seq()

    def is_ahead(self) -> bool:
        seq = self.seq()  # looked up before the log, which grows
        with self._session.looking() as (_, state):
            return seq > state.last_seq

    def is_behind(self, *, by_much: bool) -> bool:
        with self._session.looking() as (connection, state):
            seq = self.seq()
            if not by_much:
                return seq < state.last_seq
            if state.last_seq - seq > (TAIL_DOCUMENTS if seq else FEW_CHANGES):
                return True
            _, characters = size_after(connection, self._session.id, seq, TAIL_DOCUMENTS)
            return characters > TAIL_CHARACTERS

    def _open(self, path: Path) -> LexicalSnapshot:
        snapshot = LexicalSnapshot.open(path)
        if snapshot.meta.get("collection") != self._session.uuid:
            raise CorruptView(f"{path} belongs to another collection")
        return snapshot

    def publish(self) -> None:
        while not self._publish_newest():
            pass

    def _publish_newest(self) -> bool:
        with self._session.looking() as (_, state):
            newest = self._folder.newest(self._open)
        seq, path = (0, None) if newest is None else newest[:2]
        if newest is not None and (newest[2].deleted_fraction > MAX_DELETED or seq < state.purged_seq):
            seq, path = 0, None
        return (path is not None and seq >= state.last_seq) or self._publish(state, seq, path)

    def release(self) -> None:
        """Lets go of the snapshot that is open, and of what was read beside it."""
        self._tail = LexicalTail(0, 0)
        self._folder.close()

    def renew(self) -> None:
        self.release()
        done = False
        while not done:
            with self._session.looking() as (_, state):
                pass
            done = self._publish(state, 0, None)

    def _publish(self, state: CollectionState, seq: int, path: Path | None) -> bool:
        """From the snapshot `path`, which has followed to `seq`; None: from the log alone. False, and nothing
        is published, if deletions were forgotten while they were read.
        """
        target = self._folder.target(state.last_seq)
        with LexicalWriter(self._folder.path, base=path) as writer:
            self._replay(writer, seq, state.last_seq)
            with self._session.looking() as (_, now):
                if now.purged_seq != state.purged_seq:
                    return False
            writer.publish(target, {"seq": state.last_seq, "collection": self._session.uuid})
        self._folder.keep_only(target)
        return True

    def _replay(self, writer: LexicalWriter, seq: int, last_seq: int) -> None:
        fresh = seq == 0
        while seq < last_seq:
            with reading(self._session.database) as connection:
                rows = documents_after(connection, self._session.id, seq, READ_DOCUMENTS)
            if not rows:
                return
            upserts = [(key, title, text) for _, key, deleted, title, text in rows if not deleted]
            deletes = [] if fresh else [key for _, key, deleted, _, _ in rows if deleted]
            writer.apply(upserts, deletes)
            seq = rows[-1][0]

    def check(self) -> list[str]:
        problems = self.examine()
        newest = self._folder.newest(self._open)
        if newest is None:
            return problems
        seq, path, snapshot = newest
        with self._session.looking() as (connection, state):  # begun after the view was opened
            if seq < state.purged_seq:
                return problems  # it is not in use: what it should not have cannot be told
            behind = documents_after(connection, self._session.id, seq, 1)
            documents = count_documents(connection, self._session.id)
        if not behind and snapshot.document_count != documents:
            problem = f"{self.what} holds {snapshot.document_count} documents, the catalog {documents}"
            self._folder.set_aside(path, problem)
            problems.append(problem)
        return problems

    def examine(self) -> list[str]:
        def read_whole(path: Path) -> LexicalSnapshot:
            verify_folder(path, afresh=True)
            return self._open(path)

        self._tail = LexicalTail(0, 0)
        return self._folder.examine(read_whole)

    def discard(self) -> None:
        self._tail = LexicalTail(0, 0)
        self._folder.clear()
