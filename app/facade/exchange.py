"""Documents with their vectors out of a collection and into one, as Parquet files of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.facade.caller import Caller, require
from app.settings import Location
from indexing import AddReport, Collection
from indexing.documents import ChunkSettings
from indexing.listing import list_collections
from indexing.models.trust import trusted_source
from indexing.names import BUNDLED_MODEL, NO_MODEL
from indexing.search.filter_spelling import Given
from indexing.writing.parquet import FileSettings, ParquetDocuments
from indexing.writing.report import Progress

__all__ = ["ImportReport", "export_parquet", "import_parquet"]


@dataclass(frozen=True)
class ImportReport:
    """What an import did; `created`: the collection was made for it."""

    collection: str
    created: bool
    report: AddReport

    def to_dict(self) -> dict[str, Any]:
        counted = ("received", "added", "updated", "unchanged", "skipped", "denied", "chunks", "clipped")
        facts = {name: getattr(self.report, name) for name in counted}
        skips = [str(one) for one in self.report.skips]
        named = {"collection": self.collection, "created": self.created}
        return {
            **named,
            **facts,
            "skips": skips,
            "notes": list(self.report.notes),
            "seconds": self.report.seconds,
        }


def export_parquet(
    caller: Caller,
    location: Location,
    name: str,
    path: Path,
    *,
    filter: Given | None = None,
    vectors: bool = False,
) -> int:
    """Writes documents of a collection, with `vectors` also their passages, to the new Parquet file `path`;
    `indexing.writing.parquet` says what its columns are. Returns how many.

    Raises:
        NotAllowed: the caller may not manage this collection: `path` is one of this machine.
        BadInput: the file exists, or pyarrow is missing. FilterError: with the position in `filter`.
        DiskFull, StorageError: it could not be written; nothing is left of it.
    """
    require(caller, "manage", name)
    with Collection.open(name, **location.arguments()) as collection:
        return collection.export_parquet(path, filter, vectors=vectors)


def import_parquet(
    caller: Caller,
    location: Location,
    name: str,
    path: Path,
    *,
    model: str | None = None,
    on_error: str = "raise",
    progress: Progress | None = None,
) -> ImportReport:
    """Adds the documents of a Parquet file to a collection, which is made like the one they come from if
    there is none. Vectors that came along are taken over where the model is the same, by its fingerprint.
    `model` gives it by hand where this machine does not know it.

    Raises:
        NotAllowed: the caller may not manage this collection.
        BadInput: the file is none, or a row of it cannot be used; documents before it are stored.
        UntrustedModel: the collection would be made with a model that was never used here.
        LockedError: another process is adding documents.
    """
    require(caller, "manage", name)
    with ParquetDocuments(path) as file:  # before anything is made
        settings = file.settings
    created = name not in list_collections(**location.arguments()).names
    if created:
        collection = _create(location, name, model, settings)
    else:
        collection = Collection.open(name, **location.arguments(), model=model)
    with collection:
        report = collection.import_parquet(path, on_error=on_error, progress=progress)
        if created and not report.received:
            created = not collection.drop(only_if_empty=True)
    return ImportReport(name, created, report)


def _create(location: Location, name: str, model: str | None, settings: FileSettings | None) -> Collection:
    """A collection like the one that the file came from."""
    if settings is None:
        return Collection.create(name, model, **location.arguments())
    same: dict[str, Any] = {"precision": settings.precision, **location.arguments()}
    same["chunk"] = ChunkSettings(**{"opening": False, **settings.chunking})
    if settings.fingerprint == NO_MODEL:
        return Collection.create(name, dimension=settings.dimension, **same)
    if model is None and settings.model != BUNDLED_MODEL:
        model = trusted_source(settings.model, settings.fingerprint)
    return Collection.create(name, model, **same)
