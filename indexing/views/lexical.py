"""The keyword view: immutable tantivy snapshots that follow the document log. Independent of the model."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine

from indexing.catalog.database import reading
from indexing.catalog.reads import count_documents, documents_after
from indexing.errors import CorruptView
from indexing.lexical import LexicalSnapshot, LexicalWriter
from indexing.views.folder import ViewFolder

__all__ = ["LexicalView"]

READ_DOCUMENTS = 2_000
# Word statistics count deleted documents until they are merged away; past this share the view is rebuilt.
MAX_DELETED = 0.05


class LexicalView:
    """Finds, builds and follows the keyword snapshots of one collection."""

    def __init__(self, engine: Engine, folder: Path, collection_id: int, collection_uuid: str) -> None:
        self._engine = engine
        self._collection_id = collection_id
        self._uuid = collection_uuid
        self._folder = ViewFolder(folder, "words")
        self._opened: tuple[Path, int, LexicalSnapshot] | None = None

    def newest(self) -> tuple[int, LexicalSnapshot | None]:
        """(watermark, snapshot) of the newest sound snapshot; (0, None) if there is none."""
        for seq, path in self._folder.snapshots():
            if self._opened is not None and self._opened[0] == path:
                return seq, self._opened[2]
            try:
                snapshot = self._open(path)
            except CorruptView as error:
                self._folder.set_aside(path, error)
                continue
            self._opened = (path, seq, snapshot)
            return seq, snapshot
        return 0, None

    def _open(self, path: Path) -> LexicalSnapshot:
        snapshot = LexicalSnapshot.open(path)
        if snapshot.meta.get("collection") != self._uuid:
            raise CorruptView(f"{path} belongs to another collection")
        return snapshot

    def publish(self, last_seq: int) -> None:
        """Follows the log up to `last_seq` and publishes a snapshot. The caller holds the views' lock."""
        seq, snapshot = self.newest()
        if snapshot is not None and snapshot.deleted_fraction > MAX_DELETED:
            seq, snapshot = 0, None
        path = self._opened[0] if snapshot is not None and self._opened is not None else None
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

    def check(self, connection: Connection) -> list[str]:
        """What is wrong with the view, compared with the catalog; empty if nothing."""
        problems = []
        for _, path in self._folder.snapshots()[:1]:
            try:
                self._open(path)
            except CorruptView as error:
                problems.append(str(error))
                self._folder.set_aside(path, error)
                self._opened = None
        seq, snapshot = self.newest()
        if snapshot is None:
            return problems
        behind = documents_after(connection, self._collection_id, seq, 1)
        if not behind and snapshot.document_count != count_documents(connection, self._collection_id):
            problems.append(
                f"keyword view holds {snapshot.document_count} documents,"
                f" the catalog {count_documents(connection, self._collection_id)}"
            )
            self.set_aside_current(problems[-1])
        return problems

    def discard(self) -> None:
        """Takes every snapshot out of use."""
        self._folder.clear()
        self._opened = None

    def set_aside_current(self, reason: object) -> None:
        """After the open snapshot turned out damaged."""
        if self._opened is not None:
            self._folder.set_aside(self._opened[0], reason)
            self._opened = None
