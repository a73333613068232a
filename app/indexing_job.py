"""Indexing files into a collection, made on the first run: what the command line and the demo share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Location

if TYPE_CHECKING:
    from indexing import AddReport, Collection
    from indexing.describe import CollectionInfo
    from indexing.documents import ReadReport

__all__ = ["IndexChoices", "IndexSummary", "Progress", "index_paths", "open_or_create"]

Progress = Callable[["AddReport", "ReadReport"], None]


@dataclass(frozen=True)
class IndexChoices:
    """What a collection is made with; None leaves it to `indexing`, or to the collection that exists."""

    model: str | None = None
    engine: str | None = None
    precision: str | None = None

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass
class IndexSummary:
    """What a run did, and what the collection holds after it."""

    collection: str
    created: bool
    added: AddReport
    read: ReadReport
    info: CollectionInfo

    @property
    def notes(self) -> list[str]:
        """What a person should know of the input and lost nothing by."""
        return [*self.added.notes, *self.read.notes]

    @property
    def complete(self) -> bool:
        """True when every document of the input is in the collection."""
        return not self.added.skipped and not self.added.duplicates

    def to_dict(self) -> dict[str, Any]:
        added = self.added
        return {
            "collection": self.collection,
            "created": self.created,
            "documents": self.info.documents,
            "chunks": self.info.chunks,
            "added": added.added,
            "updated": added.updated,
            "unchanged": added.unchanged,
            "duplicates": added.duplicates,
            "renamed": added.renamed,
            "moved": added.moved,
            "skipped": added.skipped,
            "skips": [{"source": s.source, "line": s.line, "reason": s.reason} for s in added.skips],
            "notes": self.notes,
            "unsupported_files": dict(self.read.unsupported),
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
) -> IndexSummary:
    """Add every document under `paths` to collection `name`. Run again, it goes on where it was.

    A collection that this run made and that got no document is removed again. What lies out of the folders
    `within`, where those are given, is skipped.

    Raises:
        BadInput: a path is missing, or the choices contradict the collection; nothing was changed.
        LockedError, StorageError, ModelMismatch: as `Collection.add` does.
    """
    from indexing.documents import ReadReport, read_paths

    read = ReadReport()
    # A missing path is told here, before anything is made.
    documents = read_paths(paths, report=read, within=within)
    collection, created = open_or_create(location, name, choices or IndexChoices())
    with collection, _removed_if_empty(collection, created):
        added = collection.add(
            documents,
            on_error="skip",
            progress=None if progress is None else lambda report: progress(report, read),
        )
        started = time.perf_counter()
        collection.refresh()  # a small run too should leave nothing for the first search to do
        added.seconds += time.perf_counter() - started
        info = collection.info()
        added.keyword_lag = info.keyword_lag
    return IndexSummary(name, created, added, read, info)


@contextmanager
def _removed_if_empty(collection: Collection, created: bool) -> Iterator[None]:
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
        collection = Collection.open(name, model=choices.model, **location.arguments())
    except UnknownCollection:
        try:
            return Collection.create(name, **location.arguments(), **choices.given()), True
        except CollectionExists:  # made by another process at this moment
            collection = Collection.open(name, model=choices.model, **location.arguments())
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
