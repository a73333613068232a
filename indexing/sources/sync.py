"""Keeping a collection in step with its sources: look, compare, rename, read what changed, remove.

The order makes it safe to be stopped anywhere. A file is noted as read after its documents are stored; one
that is not is read again, and finds its documents unchanged. Nothing is removed before everything was read.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy import Connection

from indexing.catalog.database import reading, writing
from indexing.catalog.moving import Move, move_documents
from indexing.catalog.reads import document_ids
from indexing.catalog.sources import (
    FileInfo,
    FileState,
    SourceInfo,
    count_documents,
    documents_in,
    drop_files,
    drop_source,
    files_of,
    note_synced,
    record_files,
    set_stale,
    texts_in,
)
from indexing.documents import ReadReport, Skipped
from indexing.documents.model import NO_READER, Item
from indexing.documents.reader import read_plan
from indexing.documents.source import SourceFile
from indexing.documents.walk import readable_name
from indexing.session import Session
from indexing.sources.compare import Comparison, state_of
from indexing.sources.looking import Target, forget_denied, look_at, read_once, rows_for
from indexing.sources.matching import Former, match_documents, new_ids
from indexing.sources.outcome import Outcome
from indexing.sources.report import SyncReport
from indexing.writing.edit import delete_documents
from indexing.writing.own_ids import file_prefix
from indexing.writing.pipeline import Committed
from indexing.writing.report import AddReport

__all__ = ["Sync"]

_NOTED_AT_ONCE = 256
MOST_VANISHED = 0.3
"""The share of a source's documents that is removed without being asked twice: more than that is rather a
disk that is not there."""


@dataclass
class _Vanished:
    """What a source has no more: rows of files, and keys of documents of files that are still there."""

    total: int
    files: list[FileInfo] = field(default_factory=list)
    keys: dict[int, list[int]] = field(default_factory=dict)  # by file id


class Sync:
    """One run over sources. The caller holds the lock of the documents."""

    def __init__(
        self,
        session: Session,
        targets: Sequence[Target],
        read: ReadReport,
        *,
        prune: bool = False,
        force: bool = False,
        all_files: bool = False,
    ) -> None:
        self._session = session
        self._targets = targets
        self._read = read
        self._prune = prune
        self._force = force
        self._all_files = all_files
        self._started = time.time_ns()
        self._new: set[int] = set()  # rows that this run made
        self._done: dict[int, tuple[str, FileState]] = {}
        self.report = SyncReport()

    def run(self, add: Callable[[Iterable[Item | Committed]], AddReport]) -> None:
        """`add` stores the documents that it is given, and calls back what stands between them."""
        looked_at = [(target, self._compare(target)) for target in self._targets]
        read_once([comparison for _, comparison in looked_at])
        for target, comparison in looked_at:
            self._count(target, comparison)
            self._rename(target.source, comparison)
        vanished = {
            target.source.id: _Vanished(self._count_documents(target, comparison))
            for target, comparison in looked_at
        }
        files = [file for _, comparison in looked_at for file in comparison.to_read]
        self._read.files = len(files)
        self._read.bytes_total = sum(file.size for file in files)
        self.report.added = add(self._items(looked_at, vanished))
        self._note_files()
        self._forget_denied()
        for target, comparison in looked_at:
            vanished[target.source.id].files += comparison.vanished
            self._remove(target, vanished[target.source.id])
        with writing(self._session.database) as connection:
            note_synced(connection, [t.source.id for t in self._targets if t.plan is not None])
            self._forget_empty(connection)

    # --- looking -------------------------------------------------------------------------------------------

    def _compare(self, target: Target) -> Comparison:
        if target.plan is None:
            self.report.missing.append(target.source.root)
        return look_at(self._session, target, stale_too=self._prune, all_files=self._all_files)

    def _count(self, target: Target, comparison: Comparison) -> None:
        counts = self.report.files
        counts.total += len(comparison.unchanged) + len(comparison.to_read)
        counts.unchanged += len(comparison.unchanged)
        counts.read += len(comparison.to_read)
        counts.renamed += len(comparison.renamed)
        counts.vanished += len(comparison.vanished)
        problems = Counter(row.state.problem for row in comparison.unchanged)
        self.report.unreadable += len(comparison.unchanged) - problems[None] - problems[NO_READER]
        self._count_unnamed(problems[NO_READER])
        self.report.vanished += sum(row.state.stale for row in comparison.unchanged)
        if target.plan is not None:
            self.report.left_out.update(target.plan.left_out)
            self.report.unsupported.update(target.plan.unsupported)
            self._read.unsupported.update(target.plan.unsupported)

    def _count_documents(self, target: Target, comparison: Comparison) -> int:
        """How many documents a source has; those of files that are not read are unchanged."""
        with reading(self._session.database) as connection:
            total = count_documents(connection, target.source.id)
            rows = files_of(connection, target.source.id) if comparison.to_read else {}
            read = [rows[file.name].id for file in comparison.to_read if file.name in rows]
            others = documents_in(connection, [*read, *(row.id for row in comparison.vanished)])
        self.report.unchanged += total - sum(map(len, others.values()))
        return total

    # --- renamed files -------------------------------------------------------------------------------------

    def _rename(self, source: SourceInfo, comparison: Comparison) -> None:
        """Documents of files that are called otherwise get their new ids, before the files are read again."""
        if not comparison.renamed:
            return
        root = source.root
        with writing(self._session.database) as connection:
            moves: dict[int, Move] = {}
            rows: dict[int, tuple[str, FileState]] = {}
            for name, row in comparison.renamed.items():
                rows[row.id] = name, replace(row.state, read_at=0)
                for key, id_, origin, _, _ in texts_in(connection, row.id):
                    before = f"{root}/{row.name}"
                    if origin.startswith(before):
                        now = f"{root}/{name}{origin[len(before) :]}"
                        moves[key] = Move(new_ids(id_, origin, now, root), now)
                    elif not origin and id_.startswith(file_prefix(row.name)):
                        moves[key] = Move((file_prefix(name) + id_[len(file_prefix(row.name)) :],), None)
            gone = documents_in(connection, [row.id for row in comparison.vanished])
            yielding = [key for keys in gone.values() for key in keys]
            self.report.renames += move_documents(connection, self._session.id, moves, yielding)
            # The old names are free before the new ones are taken: one may be the other's.
            record_files(connection, {id_: (f"\x1f{id_}", state) for id_, (_, state) in rows.items()})
            record_files(connection, rows)

    # --- reading -------------------------------------------------------------------------------------------

    def _items(
        self, looked_at: Sequence[tuple[Target, Comparison]], vanished: dict[int, _Vanished]
    ) -> Iterator[Item | Committed]:
        for target, comparison in looked_at:
            if target.plan is None:
                continue
            known, new = rows_for(self._session, target.source, comparison.to_read)
            self._new |= new
            wanted = {file.name for file in comparison.to_read}
            entries = [e for e in target.plan.entries if isinstance(e, Skipped) or e.name in wanted]
            yield from self._items_of(target.source, entries, known, vanished[target.source.id])

    def _items_of(
        self,
        source: SourceInfo,
        entries: list[SourceFile | Skipped],
        rows: dict[str, FileInfo],
        vanished: _Vanished,
    ) -> Iterator[Item | Committed]:
        stream = read_plan(entries, self._read)
        for entry in entries:
            if isinstance(entry, Skipped):
                yield next(stream)  # type: ignore[misc]  # this very entry
                continue
            row = rows[entry.name]
            former = Former()
            if row.id not in self._new:
                with reading(self._session.database) as connection:
                    former = Former(texts_in(connection, row.id), file_prefix(row.name))
            outcome = Outcome(entry, row.id)
            items = outcome.watch(stream)
            yield from match_documents(items, former, source.root, self._move)
            yield Committed(partial(self._finish, entry, row, outcome, former, vanished))

    def _finish(
        self, file: SourceFile, row: FileInfo, outcome: Outcome, former: Former, vanished: _Vanished
    ) -> None:
        """The documents of a file are stored. Of one that could not be read to its end nothing is missed."""
        left = [] if outcome.problem else former.keys()
        state = state_of(file, self._started)
        self._done[row.id] = file.name, replace(state, problem=outcome.problem, stale=len(left))
        vanished.keys[row.id] = left
        if outcome.problem == NO_READER:
            self._count_unnamed(1)
        if outcome.empty:
            self.report.files.empty += 1
            self._read.note_empty(file.source)
        if len(self._done) >= _NOTED_AT_ONCE:
            self._note_files()

    def _count_unnamed(self, count: int) -> None:
        """Files whose names say nothing are of a kind that is not read, if they turn out to be no text."""
        if count:
            self.report.unsupported[""] += count
            self._read.unsupported[""] += count

    def _note_files(self) -> None:
        with writing(self._session.database) as connection:
            record_files(connection, self._done)
        self._done = {}

    def _forget_denied(self) -> None:
        forget_denied(self._session, self.report.added.denied_files)

    def _move(self, moves: dict[int, Move], yielding: list[int], leaving: list[int]) -> None:
        if moves or leaving:
            with writing(self._session.database) as connection:
                self.report.renames += move_documents(connection, self._session.id, moves, yielding, leaving)

    # --- removing ------------------------------------------------------------------------------------------

    def _remove(self, target: Target, vanished: _Vanished) -> None:
        with reading(self._session.database) as connection:
            of_files = documents_in(connection, [row.id for row in vanished.files])
        keys = [key for found in (*of_files.values(), *vanished.keys.values()) for key in found]
        self.report.vanished += len(keys)
        if keys and self._prune and (reason := self._reason_against(target, len(keys), vanished.total)):
            self.report.refused.append(reason)
        elif keys and self._prune:
            self._delete(keys)
            of_files = {}
            with writing(self._session.database) as connection:
                set_stale(connection, [id_ for id_, left in vanished.keys.items() if left])
        with writing(self._session.database) as connection:
            drop_files(connection, [row.id for row in vanished.files if row.id not in of_files])

    def _reason_against(self, target: Target, count: int, total: int) -> str | None:
        """Why so many of a source's documents are not removed."""
        if self._force:
            return None
        root = readable_name(target.source.root)
        if target.plan is None:
            found = "is not there"
        elif not target.plan.files:
            found = "holds nothing to read"
        elif count > MOST_VANISHED * total:
            found = f"has lost {count:,} of its {total:,} documents"
        else:
            return None
        return f"{root} {found}: nothing of it was removed; if that is right, say --force too"

    def _delete(self, keys: list[int]) -> None:
        with reading(self._session.database) as connection:
            ids = document_ids(connection, keys)
        self.report.pruned += len(delete_documents(self._session, ids.values()))

    def _forget_empty(self, connection: Connection) -> None:
        """A root that is gone, and of which nothing is left, was moved."""
        for target in self._targets:
            if target.plan is None and not count_documents(connection, target.source.id):
                drop_source(connection, target.source.id)
