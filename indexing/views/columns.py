"""The view of metadata by column, for filters and facets, and the documents after its newest snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.collections import CollectionState
from indexing.catalog.database import reading
from indexing.catalog.following import metadata_changes_after
from indexing.catalog.reads import count_documents
from indexing.catalog.stored import read_metadata
from indexing.columns.build import Columns
from indexing.columns.facets import FieldCounts, count_values
from indexing.columns.matching import matches
from indexing.columns.snapshot import SEGMENT_DOCUMENTS, ColumnSnapshot, write
from indexing.columns.values import kinds_of
from indexing.errors import CorruptView
from indexing.search.filter_tree import Node
from indexing.search.filter_values import flat
from indexing.session import Session
from indexing.views.base import FEW_CHANGES, can_go_on
from indexing.views.folder import ViewFolder
from stlib.util.forks import ThreadLock

__all__ = ["ColumnReader", "ColumnView"]

READ_DOCUMENTS = 5_000
# Newer documents are compared one by one, a few microseconds each.
TAIL_DOCUMENTS = 1_024


@dataclass(frozen=True)
class ColumnReader:
    """The metadata of all documents after the change `seq`.

    The snapshot is wrong about those that changed later: `newer`, key → metadata, and `deleted`.
    """

    snapshot: ColumnSnapshot | None
    seq: int
    newer: Mapping[int, Mapping[str, Any]]
    deleted: frozenset[int] = frozenset()

    @property
    def changed(self) -> np.ndarray:
        return np.asarray(sorted(self.newer.keys() | self.deleted), np.int64)

    def count_documents(self) -> int:
        """How many documents there are."""
        return len(self.newer) + (0 if self.snapshot is None else self.snapshot.count_without(self.changed))

    def table(self, node: Node) -> np.ndarray:
        """A boolean table over document keys: those that fulfil a filter.

        Raises:
            NotCovered: the columns cannot tell.
        """
        table = np.zeros(0, dtype=bool) if self.snapshot is None else self.snapshot.table(node)
        changed = self.changed
        if len(changed):
            longer = np.zeros(max(len(table), int(changed[-1]) + 1), dtype=bool)
            longer[: len(table)] = table
            longer[changed] = False
            longer[[key for key, metadata in self.newer.items() if matches(node, metadata)]] = True
            table = longer
        return table

    def kinds(self, field: str) -> set[str]:
        """The kinds of values that documents have in `field`: text, date, number, truth, null, list; empty if
        none has.

        Raises:
            NotCovered: it has no column.
        """
        kinds = {kind for metadata in self.newer.values() for kind in kinds_of(metadata, field)}
        return kinds if self.snapshot is None else kinds | self.snapshot.kinds(field, self.changed)

    def count(self, most_values: int, most_fields: int) -> dict[str, FieldCounts]:
        """How often each value of each field occurs, see `indexing.columns.facets`.

        Raises:
            NotCovered: some field has no column.
        """
        if self.snapshot is not None:
            self.snapshot.ensure_whole()
        return count_values(self.snapshot, self.changed, self.newer.values(), most_values, most_fields)


class ColumnView:
    """Finds, builds and follows the snapshots of one collection's metadata. Any thread may read."""

    what = "view of metadata"

    def __init__(self, session: Session) -> None:
        self._session = session
        folder = session.place.views / "columns"
        self._folder: ViewFolder[ColumnSnapshot] = ViewFolder(folder, "columns")
        self._lock = ThreadLock()
        self._held = ColumnReader(None, 0, {})

    def reader(self, connection: Connection) -> ColumnReader | None:
        """All metadata as the transaction of `connection` sees it; None where too much is newer than the
        snapshot.

        Raises:
            UnknownCollection: the collection was deleted.
        """
        state = self._session.row(connection)
        with self._lock:
            held = self._held
            seq, snapshot = self._newest(state)
            if held.snapshot is not snapshot or not max(seq, state.purged_seq) <= held.seq <= state.last_seq:
                held = ColumnReader(snapshot, seq, {})
            if held.seq < state.last_seq:
                held = self._follow(connection, held, state.last_seq)
            if held.seq < state.last_seq:
                return None
            self._held = held
            return held

    def _follow(self, connection: Connection, held: ColumnReader, last_seq: int) -> ColumnReader:
        rows = metadata_changes_after(connection, self._session.id, held.seq, TAIL_DOCUMENTS + 1)
        if len(rows) + len(held.newer) + len(held.deleted) > 2 * TAIL_DOCUMENTS or len(rows) > TAIL_DOCUMENTS:
            return held
        newer, deleted = dict(held.newer), set(held.deleted)
        for row in rows:
            newer.pop(row.key, None)
            deleted.discard(row.key)
            if row.deleted:
                deleted.add(row.key)
            else:
                newer[row.key] = flat(read_metadata(row.metadata))
        return replace(held, seq=last_seq, newer=newer, deleted=frozenset(deleted))

    def newest(self, state: CollectionState) -> tuple[int, ColumnSnapshot | None]:
        """The newest snapshot, and the change up to which it knows the log; None where there is none."""
        with self._lock:
            return self._newest(state)

    def _newest(self, state: CollectionState) -> tuple[int, ColumnSnapshot | None]:
        newest = self._folder.newest(self._open)
        if newest is None or not can_go_on(newest[0], newest[2].meta, state.purged_seq):
            return 0, None
        return newest[0], newest[2]

    def _open(self, path: Path) -> ColumnSnapshot:
        snapshot = ColumnSnapshot.open(path, self._folder.opened())
        if snapshot.meta.get("collection") != self._session.uuid:
            raise CorruptView(f"{path} belongs to another collection")
        return snapshot

    def seq(self) -> int:
        return self._folder.seq()

    def is_ahead(self) -> bool:
        seq = self.seq()  # looked up before the log, which grows
        with self._session.looking() as (_, state):
            return seq > state.last_seq

    def is_behind(self, *, by_much: bool) -> bool:
        with self._session.looking() as (_, state):
            seq = self.seq()
            allowed = 0 if not by_much else TAIL_DOCUMENTS if seq else FEW_CHANGES
            return state.last_seq - seq > allowed

    def publish(self) -> None:
        while self._publish_next():
            pass

    def release(self) -> None:
        """Lets go of the snapshot that is open, and of what was read beside it."""
        with self._lock:
            self._held = ColumnReader(None, 0, {})
            self._folder.close()

    def renew(self) -> None:
        self.release()
        if self._publish_next(afresh=True):
            self.publish()

    def _publish_next(self, *, afresh: bool = False) -> bool:
        """A snapshot with as many new documents as a segment should have; whether there are more. With
        `afresh` it is the first, and nothing is taken from those that there are.
        """
        with self._session.looking() as (_, state), self._lock:
            seq, base = (0, None) if afresh else self._newest(state)
        if base is not None and seq >= state.last_seq:
            return False
        columns, changed, last = Columns(), [], seq
        while last < state.last_seq and len(columns) < SEGMENT_DOCUMENTS:
            with reading(self._session.database) as connection:
                rows = metadata_changes_after(connection, self._session.id, last, READ_DOCUMENTS)
            for row in rows:
                changed.append(row.key)
                if not row.deleted:
                    columns.add(row.key, read_metadata(row.metadata))
            last = rows[-1].seq if rows else state.last_seq
        with self._session.looking() as (_, now):
            if now.purged_seq != state.purged_seq:  # deletions may be missing from what was read
                return self._publish_next(afresh=afresh)
        target = self._folder.target(last)
        meta = {"seq": last, "purged": state.purged_seq, "collection": self._session.uuid}
        write(target, columns, meta, base=base, changed=np.asarray(changed, np.int64))
        self._folder.keep_only(target)
        return last < state.last_seq

    def examine(self) -> list[str]:
        with self._lock:
            self._held = ColumnReader(None, 0, {})
            return self._folder.examine(lambda path: self._open(path).verify())

    def check(self) -> list[str]:
        problems = self.examine()
        with self._lock:
            newest = self._folder.newest(self._open)
        if newest is None:
            return problems
        seq, path, snapshot = newest
        with self._session.looking() as (connection, state):  # begun after the view was opened
            if not can_go_on(seq, snapshot.meta, state.purged_seq):
                return problems  # it is not in use: what it should not have cannot be told
            behind = metadata_changes_after(connection, self._session.id, seq, 1)
            documents = count_documents(connection, self._session.id)
        if not behind and len(snapshot) != documents:
            problem = f"{self.what} holds {len(snapshot)} documents, the catalog {documents}"
            self._folder.set_aside(path, problem)
            problems.append(problem)
        return problems

    def discard(self) -> None:
        with self._lock:
            self._held = ColumnReader(None, 0, {})
            self._folder.clear()
