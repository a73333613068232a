"""What is there of a source, against what the catalog knows of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from indexing.catalog.database import reading, writing
from indexing.catalog.denials import find_denials
from indexing.catalog.sources import (
    FileInfo,
    FileState,
    SourceInfo,
    add_files,
    documents_in,
    drop_files,
    files_of,
)
from indexing.documents import Skipped
from indexing.documents.source import SourceFile
from indexing.documents.walk import Plan
from indexing.session import Session
from indexing.sources.compare import Comparison, compare
from indexing.writing.guard import Guard

__all__ = ["Target", "forget_denied", "look_at", "origin_of", "read_once", "rows_for"]


@dataclass(frozen=True)
class Target:
    """A source to look at: what it is, and what is there of it now (None: the root is missing)."""

    source: SourceInfo
    plan: Plan | None


def look_at(session: Session, target: Target, *, stale_too: bool, all_files: bool) -> Comparison:
    """What has changed of a source. Files whose documents were erased are taken out of its plan; see
    `compare` for `stale_too` and `all_files`.
    """
    with reading(session.database) as connection:
        known = files_of(connection, target.source.id)
        new = () if target.plan is None else (one.name for one in target.plan.files)
        denials = find_denials(connection, session.id, dict.fromkeys(new))
    if target.plan is None:
        return Comparison(vanished=list(known.values()))
    _leave_out_erased(target.plan, Guard(session.name, denials), known)
    return compare(target.plan, known, stale_too=stale_too, all_files=all_files)


def read_once(comparisons: Sequence[Comparison]) -> None:
    """A file that lies in several sources is read for the first of them."""
    met: set[str] = set()
    for comparison in comparisons:
        if len(comparisons) > 1:
            comparison.to_read = [file for file in comparison.to_read if origin_of(file) not in met]
        met.update(origin_of(file) for file in comparison.to_read)


def origin_of(file: SourceFile) -> str:
    """The one path of a file, whichever source it was found in."""
    return f"{file.root}/{file.name}"


def rows_for(
    session: Session, source: SourceInfo, files: Sequence[SourceFile]
) -> tuple[dict[str, FileInfo], set[int]]:
    """A row for each of `files`, by name, and for what else the source has; new ones count as never read.
    Also the ids of the rows that are new.
    """
    with reading(session.database) as connection:
        known = files_of(connection, source.id)
    new = {
        file.name: FileState(file.size, file.modified, file.changed, file.inode)
        for file in files
        if file.name not in known
    }
    if not new:
        return known, set()
    with writing(session.database) as connection:
        ids = add_files(connection, source.id, new)
    known |= {name: FileInfo(ids[name], name, state) for name, state in new.items()}
    return known, set(ids.values())


def forget_denied(session: Session, denied: Collection[int]) -> None:
    """A file of which nothing is here, as all of it was erased, leaves no row with its name. `denied` are the
    rows of files of which something was kept out.
    """
    if denied:
        with writing(session.database) as connection:
            there = documents_in(connection, denied)
            drop_files(connection, [id_ for id_ in denied if id_ not in there])


def _leave_out_erased(plan: Plan, guard: Guard, known: Mapping[str, FileInfo]) -> None:
    """Files whose documents were erased are not opened, and leave no trace. A file that is known is another
    one that got a longer id.
    """
    erased = {file.name for file in plan.files if file.name not in known and guard.knows(file.name)}
    if erased:
        plan.entries = [one for one in plan.entries if isinstance(one, Skipped) or one.name not in erased]
        plan.left_out["erased"] += len(erased)
