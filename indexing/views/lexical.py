"""The keyword view: immutable tantivy snapshots that follow the document log. Independent of the model."""

from __future__ import annotations

from pathlib import Path

from indexing.catalog.database import reading
from indexing.catalog.reads import count_documents, documents_after
from indexing.errors import CorruptView
from indexing.lexical import LexicalSnapshot, LexicalWriter
from indexing.session import Session
from indexing.storage.published import verify_folder
from indexing.views.folder import ViewFolder

__all__ = ["LexicalView"]

READ_DOCUMENTS = 2_000
# Word statistics count deleted documents until they are merged away; past this share the view is rebuilt.
MAX_DELETED = 0.05


class LexicalView:
    """Finds, builds and follows the keyword snapshots of one collection."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._engine = session.database
        self._collection_id = session.id
        self._uuid = session.uuid
        self._folder: ViewFolder[LexicalSnapshot] = ViewFolder(session.place.views / "lexical", "words")

    def newest(self) -> tuple[int, LexicalSnapshot | None]:
        """(watermark, snapshot) of the newest sound snapshot; (0, None) if there is none."""
        newest = self._folder.newest(self._open)
        return (0, None) if newest is None else (newest[0], newest[2])

    def seq(self) -> int:
        """The watermark of the newest snapshot, told by its name alone; 0 if there is none."""
        return self._folder.seq()

    def _open(self, path: Path) -> LexicalSnapshot:
        snapshot = LexicalSnapshot.open(path)
        if snapshot.meta.get("collection") != self._uuid:
            raise CorruptView(f"{path} belongs to another collection")
        with self._session.looking() as (_, state):
            purged = state.purged_seq
        if snapshot.meta.get("seq", 0) < purged:
            raise CorruptView(f"{path} has not followed deletions that are forgotten")
        return snapshot

    def publish(self, last_seq: int) -> None:
        """Follows the log up to `last_seq` and publishes a snapshot. The caller holds the views' lock."""
        newest = self._folder.newest(self._open)
        if newest is not None and newest[2].deleted_fraction > MAX_DELETED:
            newest = None
        seq, path = (0, None) if newest is None else newest[:2]
        target = self._folder.target(last_seq)
        with LexicalWriter(self._folder.path, base=path) as writer:
            self._replay(writer, seq, last_seq)
            writer.publish(target, {"seq": last_seq, "collection": self._uuid})
        self._folder.keep_only(target)

    def _replay(self, writer: LexicalWriter, seq: int, last_seq: int) -> None:
        fresh = seq == 0
        while seq < last_seq:
            with reading(self._engine) as connection:
                rows = documents_after(connection, self._collection_id, seq, READ_DOCUMENTS)
            if not rows:
                return
            upserts = [(key, title, text) for _, key, deleted, title, text in rows if not deleted]
            deletes = [] if fresh else [key for _, key, deleted, _, _ in rows if deleted]
            writer.apply(upserts, deletes)
            seq = rows[-1][0]

    def check(self) -> list[str]:
        """What is wrong with the view, compared with the catalog; empty if nothing. Damage is set aside."""
        problems = self.examine()
        newest = self._folder.newest(self._open)
        if newest is None:
            return problems
        seq, path, snapshot = newest
        with reading(self._engine) as connection:  # begun after the view was opened: the view is not newer
            behind = documents_after(connection, self._collection_id, seq, 1)
            documents = count_documents(connection, self._collection_id)
        if not behind and snapshot.document_count != documents:
            problem = f"keyword view holds {snapshot.document_count} documents, the catalog {documents}"
            self._folder.set_aside(path, problem)
            problems.append(problem)
        return problems

    def examine(self) -> list[str]:
        """Compares every file with its checksum; a damaged snapshot is set aside, and the reason returned."""

        def read_whole(path: Path) -> LexicalSnapshot:
            verify_folder(path, afresh=True)
            return self._open(path)

        return self._folder.examine(read_whole)

    def discard(self) -> None:
        """Takes every snapshot out of use."""
        self._folder.clear()
