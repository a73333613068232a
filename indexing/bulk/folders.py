"""Folders of this machine that a load is of. They become sources of the collection, as by a sync: the load
brings what was never read of them, and a plain sync does the rest.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from indexing.bulk.checking import difference_of
from indexing.bulk.pieces import ShardPlan
from indexing.bulk.specs import Entry, Group, read_spec
from indexing.catalog.database import reading, writing
from indexing.catalog.sources import documents_in, files_of, paths_of_files, record_files
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput
from indexing.session import Session
from indexing.sources.compare import Comparison, state_of
from indexing.sources.confirm import confirm_roots
from indexing.sources.looking import Target, forget_denied, look_at, read_once, rows_for
from indexing.sources.targets import FOLDER, named_targets

__all__ = ["check_rows", "finish_files", "prepare_folders"]


def prepare_folders(
    session: Session, paths: Sequence[Path], options: ReadOptions | None, within: Iterable[Any] | None = None
) -> tuple[list[Group], list[Target]]:
    """Makes `paths` sources of the collection (with other `options` from now on, if some are given), and rows
    for their new files. Returns the files that were never read to their end, one group for each source, and
    what is there of each source. The caller holds the lock of the documents.

    Raises:
        BadInput: a path is not there; nothing was changed.
    """
    targets = named_targets(session, paths, options, within)
    confirm_roots(session.uuid, [(target.source.kind, target.source.root) for target in targets])
    comparisons = [look_at(session, target, stale_too=False, all_files=False) for target in targets]
    read_once(comparisons)
    named = {os.path.realpath(path) for path in paths if not path.is_dir()}
    groups = [
        _group(session, target, comparison, named)
        for target, comparison in zip(targets, comparisons, strict=True)
    ]
    return groups, targets


def _group(session: Session, target: Target, comparison: Comparison, named: set[str]) -> Group:
    """Of single files only those that were `named` (real paths): others of their folder that were so before
    are the sync's.
    """
    with reading(session.database) as connection:
        before = files_of(connection, target.source.id)
    new = [
        file
        for file in comparison.to_read
        if (target.source.kind == FOLDER or os.path.realpath(file.path) in named)
        and file.name not in comparison.renamed
        and (file.name not in before or not before[file.name].state.read_at)
    ]
    rows, _ = rows_for(session, target.source, new)
    with reading(session.database) as connection:
        begun = documents_in(connection, [rows[file.name].id for file in new if file.name in before])
    entries = [Entry(file, rows[file.name].id, rows[file.name].id not in begun) for file in new]
    return Group(entries, ReadOptions.from_json(target.source.options))


def check_rows(session: Session, rows: dict[int, str]) -> None:
    """Raises `BadInput` if a file of a plan, given by its row with its path, has its row no more."""
    with reading(session.database) as connection:
        there = paths_of_files(connection, rows)
    for id_, path in rows.items():
        if "/".join(there.get(id_, ())) != path:
            raise BadInput(
                f"the collection knows the file {path} no more, which this load was planned with: its folder"
                " was forgotten meanwhile; with --restart the load is planned anew"
            )


def finish_files(
    session: Session, shards: Iterable[ShardPlan], bad: Collection[int], denied: Iterable[int]
) -> None:
    """Notes that those files were read to their end which were cut into several shards, if none of these is
    `bad` (a number of one that is not stored whole), and forgets files of which all was `denied`, as it had
    been erased.
    """
    whole: dict[int, tuple[Entry, int]] = {}
    broken: set[int] = set()
    for shard in shards:
        if shard.kind == "files":
            continue
        told = read_spec(shard.spec)
        for entry in told.entries:
            if isinstance(entry, Entry) and entry.file_id is not None and entry.fresh:
                whole[entry.file_id] = entry, told.planned_at
                if shard.number in bad:
                    broken.add(entry.file_id)
    done = {
        id_: (entry.file.name, state_of(entry.file, planned_at))
        for id_, (entry, planned_at) in whole.items()
        if id_ not in broken and _is_same(entry)
    }
    with writing(session.database) as connection:
        record_files(connection, done)
    forget_denied(session, set(denied))


def _is_same(entry: Entry) -> bool:
    """Whether a file is there as it was planned; one that cannot be looked at may be another one by now."""
    return os.access(entry.file.path, os.F_OK) and not difference_of(entry)
