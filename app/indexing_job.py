"""Indexing files into a collection, made on the first run: what command line, jobs and the demo share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Location
from indexing.documents.options import ReadOptions
from indexing.names import ROLES

if TYPE_CHECKING:
    from indexing import AddReport, Collection
    from indexing.describe import CollectionInfo
    from indexing.documents import ReadReport
    from indexing.sources.report import SyncReport

__all__ = [
    "IndexChoices",
    "IndexSummary",
    "Progress",
    "SyncChoices",
    "index_once",
    "index_paths",
    "open_or_create",
    "removed_if_empty",
    "sync_sources",
]

Progress = Callable[["AddReport", "ReadReport"], None]


@dataclass(frozen=True)
class IndexChoices:
    """What a collection is made with; None leaves it to `indexing`, or to the collection that exists.
    `sparse` and `tokens` are models of what passages have beside their vectors.
    """

    model: str | None = None
    engine: str | None = None
    precision: str | None = None
    sparse: str | None = None
    tokens: str | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}

    def models(self) -> dict[str, str]:
        """Those that are given, by hand: what a collection that exists was made with."""
        return {name: value for name, value in self.given().items() if name in ("model", *ROLES)}


@dataclass(frozen=True)
class SyncChoices:
    """How sources are read, see `Collection.sync`; `options` of None are those that a source has."""

    options: ReadOptions | None = None
    prune: bool = False
    force: bool = False
    all_files: bool = False
    confirm: bool = False

    def to_json(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if value is True}
        return told if self.options is None else {**told, "options": self.options.to_json()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SyncChoices:
        options = raw.get("options")
        flags = {name: raw.get(name) is True for name in ("prune", "force", "all_files", "confirm")}
        return cls(None if options is None else ReadOptions.from_json(options), **flags)


@dataclass
class IndexSummary:
    """What a run did, and what the collection holds after it."""

    collection: str
    created: bool
    sync: SyncReport
    read: ReadReport
    info: CollectionInfo
    notes: list[str] = field(default_factory=list)

    @property
    def added(self) -> AddReport:
        return self.sync.added

    @property
    def complete(self) -> bool:
        """True when every document of the input is in the collection, and what was to go is gone."""
        return not (self.added.skipped or self.added.duplicates or self.sync.refused)

    @property
    def changed(self) -> bool:
        """Whether the collection is another one than before."""
        return self.created or self.sync.changed

    def to_dict(self) -> dict[str, Any]:
        added, sync = self.added, self.sync
        return {
            "collection": self.collection,
            "created": self.created,
            "documents": self.info.documents,
            "chunks": self.info.chunks,
            "added": added.added,
            "updated": added.updated,
            "unchanged": added.unchanged + sync.unchanged,
            "duplicates": added.duplicates,
            "renamed": added.renamed,
            "moved": added.moved,
            "skipped": added.skipped,
            "denied": added.denied,
            "skips": [{"source": s.source, "line": s.line, "reason": s.reason} for s in added.skips],
            "notes": self.notes,
            "files": asdict(sync.files),
            "renamed_documents": len(sync.renames),
            "vanished": sync.vanished,
            "pruned": sync.pruned,
            "refused": sync.refused,
            "missing_roots": sync.missing,
            "unreadable_files": sync.unreadable,
            "empty_files": self.read.empty,
            "unsupported_files": dict(sync.unsupported),
            "left_out": dict(sync.left_out),
            "seconds": added.seconds,
            "documents_per_second": added.committed / added.seconds if added.seconds else 0.0,
            "keyword_lag": added.keyword_lag,
            "memory_bytes": self.info.memory_bytes,
            "disk_bytes": self.info.catalog_bytes + self.info.view_bytes,
        }


def index_paths(
    location: Location,
    name: str,
    paths: Sequence[Path],
    choices: IndexChoices | None = None,
    progress: Progress | None = None,
    within: Sequence[Path] | None = None,
    how: SyncChoices | None = None,
) -> IndexSummary:
    """Bring collection `name` in step with `paths`, which are its sources from now on. Run again, it goes on
    where it was.

    A collection that this run made and that got no document is removed again. What lies out of the folders
    `within`, where those are given, is skipped.

    Raises:
        BadInput: a path is missing, or the choices contradict the collection; nothing was changed.
        LockedError, StorageError, ModelMismatch: as `Collection.add` does.
    """
    from indexing.documents.walk import check_paths

    check_paths(paths)  # a missing path is told here, before anything is made
    collection, created = open_or_create(location, name, choices or IndexChoices())
    with collection, removed_if_empty(collection, created):
        return _sync(location, collection, paths, progress, within, how or SyncChoices(), created)


def index_once(
    location: Location,
    name: str,
    path: Path,
    choices: IndexChoices | None = None,
    progress: Progress | None = None,
    how: SyncChoices | None = None,
) -> IndexSummary:
    """Add what the file `path` holds, which will not be there again: it is no source, and no origin is kept.

    Raises: as `index_paths`.
    """
    from indexing.documents import Document, ReadReport, read_paths
    from indexing.sources.report import FileCounts, SyncReport

    read = ReadReport()
    items = read_paths([path], report=read, options=(how or SyncChoices()).options)
    kept = (replace(item, origin="") if isinstance(item, Document) else item for item in items)
    collection, created = open_or_create(location, name, choices or IndexChoices())
    with collection, removed_if_empty(collection, created):
        added = collection.add(
            kept, on_error="skip", progress=None if progress is None else lambda one: progress(one, read)
        )
        collection.refresh()
        report = SyncReport(added, FileCounts(total=1, read=1))
        return IndexSummary(name, created, report, read, collection.info(), [*added.notes, *read.notes])


def sync_sources(
    location: Location,
    name: str,
    progress: Progress | None = None,
    within: Sequence[Path] | None = None,
    how: SyncChoices | None = None,
) -> IndexSummary:
    """Bring collection `name` in step with the sources that it has.

    Raises:
        UnconfirmedSource: one that nobody named on this machine; nothing was read.
        UnknownCollection, LockedError, StorageError, ModelMismatch: as `Collection.add` does.
    """
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        return _sync(location, collection, None, progress, within, how or SyncChoices(), False)


def _sync(
    location: Location,
    collection: Collection,
    paths: Sequence[Path] | None,
    progress: Progress | None,
    within: Sequence[Path] | None,
    how: SyncChoices,
    created: bool,
) -> IndexSummary:
    from app.feedback.renaming import follow_renames
    from indexing.documents import ReadReport

    read = ReadReport()
    report = collection.sync(
        paths,
        options=how.options,
        prune=how.prune,
        force=how.force,
        all_files=how.all_files,
        confirm=how.confirm,
        within=within,
        read=read,
        progress=None if progress is None else lambda added: progress(added, read),
    )
    notes = [*report.added.notes, *read.notes]
    if failed := follow_renames(location, collection):
        notes.append(failed)
    started = time.perf_counter()
    if report.changed or created:
        collection.refresh()  # a small run too should leave nothing for the first search to do
    report.added.seconds += time.perf_counter() - started
    info = collection.info()
    report.added.keyword_lag = info.keyword_lag
    return IndexSummary(collection.name, created, report, read, info, notes)


@contextmanager
def removed_if_empty(collection: Collection, created: bool) -> Iterator[None]:
    """Removes a new collection that got no document, whatever the reason; not one that others add to."""
    from indexing.errors import LockedError, UnknownCollection

    try:
        yield
    finally:
        if created:
            with suppress(LockedError, UnknownCollection):
                collection.drop(only_if_empty=True)


def open_or_create(location: Location, name: str, choices: IndexChoices) -> tuple[Collection, bool]:
    """The collection and whether it is new.

    Raises:
        BadInput: it exists with another engine or precision.
        ModelMismatch: it exists with another model.
    """
    from indexing import Collection
    from indexing.errors import BadInput, CollectionExists, UnknownCollection

    try:
        collection = Collection.open(name, **choices.models(), **location.arguments())
    except UnknownCollection:
        try:
            return Collection.create(name, **location.arguments(), **choices.given()), True
        except CollectionExists:  # made by another process at this moment
            collection = Collection.open(name, **choices.models(), **location.arguments())
    info = collection.info()
    for setting in ("engine", "precision"):
        wanted = getattr(choices, setting)
        if wanted is not None and wanted != getattr(info, setting):
            collection.close()
            raise BadInput(
                f"collection {name!r} was made with --{setting} {getattr(info, setting)}, not {wanted}: "
                f"leave --{setting} away, or change it with `stlib reindex {name} --{setting} {wanted}`"
            )
    return collection, False
