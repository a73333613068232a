"""Bringing whole sources into a collection, by Ray too: what command line and jobs share.

A load has a plan that is kept in the catalog, so it may be of any size: whatever ends it, the same call goes
on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.indexing_job import IndexChoices, IndexSummary, open_or_create, removed_if_empty
from app.settings import Location
from indexing.bulk.addresses import parse_address
from indexing.bulk.report import BadShard, LoadReport
from indexing.documents.options import ReadOptions
from indexing.errors import UnknownCollection

if TYPE_CHECKING:
    from indexing import Collection
    from indexing.documents import ReadReport
    from indexing.sources.report import SyncReport

__all__ = [
    "LoadChoices",
    "LoadSummary",
    "absolute_address",
    "is_address",
    "load_sources",
    "planned_at",
    "say_bad",
]

LoadProgress = Callable[[LoadReport], None]

_TOLD_BAD = 100


@dataclass(frozen=True)
class LoadChoices:
    """How a source is brought in: by the cluster `ray` (None: by this process), with so many `workers` (None:
    as many as there are cores); `restart` throws an unfinished plan away.
    """

    ray: str | None = None
    workers: int | None = None
    restart: bool = False

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> LoadChoices:
        return cls(raw.get("ray"), raw.get("workers"), raw.get("restart") is True)


@dataclass
class LoadSummary(IndexSummary):
    """What a load did, all of its starts together, and what the collection holds after it."""

    load: LoadReport = field(default_factory=LoadReport)

    @property
    def complete(self) -> bool:
        """True when every document of the source is in the collection."""
        return super().complete and self.load.finished

    def to_dict(self) -> dict[str, Any]:
        load = self.load
        told = {
            "shards": load.shards,
            "done": load.done,
            "bad_count": load.bad_count,
            "bad": [{"shard": one.number, "reason": say_bad(one)} for one in load.bad[:_TOLD_BAD]],
            "passages": load.added.chunks,
            "resumed": load.resumed,
            "finished": load.finished,
        }
        return {**super().to_dict(), "load": told}


def is_address(text: str) -> bool:
    """Whether it names something that does not lie on this machine.

    Raises:
        BadInput: it is an address that may not be used.
    """
    return not isinstance(parse_address(text), Path)


def absolute_address(text: str) -> str:
    """A source that a person named, for a process in another working folder."""
    parsed = parse_address(text)
    return str(parsed.absolute()) if isinstance(parsed, Path) else text


def say_bad(shard: BadShard) -> str:
    """One sentence about a part of a source that could not be read."""
    files = [entry.get("name", "") for entry in shard.spec.get("files", []) if isinstance(entry, dict)]
    named = next((name for name in files if name), "")
    if not named or named in shard.reason:
        return shard.reason
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    return f"{named}{more}: {shard.reason}"


def load_sources(
    location: Location,
    name: str,
    addresses: Sequence[str],
    choices: IndexChoices | None = None,
    load: LoadChoices | None = None,
    options: ReadOptions | None = None,
    progress: LoadProgress | None = None,
    within: Sequence[Path] | None = None,
) -> LoadSummary:
    """Bring folders, files and addresses into collection `name`, which is made if there is none.

    Raises:
        BadInput: nothing is there, it changed since it was planned, or the cluster cannot be used; nothing
            was read.
        LockedError, StorageError, ModelMismatch: as `Collection.load` does.
    """
    from indexing.documents import ReadReport
    from indexing.documents.walk import check_paths

    check_paths([path for one in addresses if isinstance(path := parse_address(one), Path)])
    load = load or LoadChoices()
    collection, created = open_or_create(location, name, choices or IndexChoices())
    with collection, removed_if_empty(collection, created):
        read = ReadReport()
        report = collection.load(
            addresses,
            ray=load.ray,
            workers=load.workers,
            options=options,
            restart=load.restart,
            within=within,
            read=read,
            progress=progress,
        )
        return _summary(location, collection, created, report, read)


def planned_at(
    location: Location, name: str, addresses: Sequence[str], options: ReadOptions | None = None
) -> int | None:
    """The second (of the epoch) in which the load of a source was planned that is not finished; None where
    there is none.
    """
    from indexing import Collection

    try:
        collection = Collection.open(name, **location.arguments())
    except UnknownCollection:
        return None
    with collection:
        planned = collection.load_planned_at(addresses, options=options)
    return None if planned is None else int(planned.timestamp())


def _summary(
    location: Location, collection: Collection, created: bool, report: LoadReport, read: ReadReport
) -> LoadSummary:
    from app.feedback.renaming import follow_renames

    sync = _together(report)
    notes = [*sync.added.notes, *read.notes]
    if failed := follow_renames(location, collection):
        notes.append(failed)
    started = time.perf_counter()
    collection.refresh()
    sync.added.seconds += time.perf_counter() - started
    info = collection.info()
    sync.added.keyword_lag = info.keyword_lag
    return LoadSummary(collection.name, created, sync, read, info, notes, report)


def _together(report: LoadReport) -> SyncReport:
    """A load and the sync of its folders after it as one run: what the load stored is nothing that the sync
    found unchanged.
    """
    from indexing.sources.report import SyncReport

    load, sync = report.added, report.synced
    if sync is None:
        return SyncReport(load)
    added = replace(load)
    for name in ("added", "updated", "skipped", "duplicates", "denied", "renamed", "moved"):
        setattr(added, name, getattr(load, name) + getattr(sync.added, name))
    added.skips = [*load.skips, *sync.added.skips]
    added.notes = list(dict.fromkeys([*load.notes, *sync.added.notes]))
    stored = load.added + load.updated + load.unchanged
    return replace(sync, added=added, unchanged=max(0, sync.unchanged - stored))
