"""Finding, refusing and opening: what `Collection` does before there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from indexing.catalog.collections import collection_names
from indexing.catalog.database import open_database, reading
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.migrate import known_revision
from indexing.errors import BadInput, CollectionExists, ModelMismatch
from indexing.names import NO_MODEL
from indexing.session import documents_lock
from indexing.storage.files import remove, remove_if_empty
from indexing.storage.paths import Place, ServerDatabase
from stlib.runtime import BUNDLED_MODEL_NAME, EncoderProtocol

__all__ = ["already_exists", "check_model", "creating", "open_catalog", "refuse_existing"]


@contextmanager
def open_catalog(place: Place, *, create: bool = False) -> Iterator[Engine]:
    """The catalog's database, which is closed again after an error."""
    database = open_database(place.catalog, create=create, scope=place.name)
    try:
        yield database
    except BaseException:
        database.dispose()
        raise


def refuse_existing(place: Place) -> None:
    """Raises CollectionExists. Asked before the lock is taken, which one who adds documents holds.

    Nothing is upgraded for it: of a catalog of an older schema only the names are read.
    """
    if not dialect_of(place.catalog).exists(place.catalog):
        return
    with open_catalog(place) as database:
        if known_revision(database) is not None:
            with reading(database) as connection:
                if place.name in collection_names(connection):
                    raise already_exists(place)
        database.dispose()


@contextmanager
def creating(place: Place) -> Iterator[Engine]:
    """The database for a new collection, under the lock for making one. After an error no folder is left
    that was made for it; a catalog that other collections may be in stays.
    """
    above = () if isinstance(place.catalog, ServerDatabase) else place.catalog.parents
    folders = {*place.locks.parents, place.locks, *above}
    missing = sorted((folder for folder in folders if not folder.exists()), reverse=True)
    try:
        with _locked_database(place) as database:
            try:
                yield database
            except BaseException:
                if place.folder in missing:
                    remove(place.folder)  # while the lock is held: nobody else makes this collection now
                raise
    except BaseException:
        for folder in missing:  # what lies within others comes first
            remove_if_empty(folder)
        raise


@contextmanager
def _locked_database(place: Place) -> Iterator[Engine]:
    """A server knows locks, and a file is made under the lock of its folder only."""
    if isinstance(place.catalog, ServerDatabase):
        with open_catalog(place) as database, documents_lock(database, place):
            yield database
    else:
        with documents_lock(None, place), open_catalog(place, create=True) as database:
            yield database


def already_exists(place: Place) -> CollectionExists:
    """The error to raise."""
    return CollectionExists(f"collection {place.name!r} exists already in {place.catalog}; open or delete it")


def check_model(encoder: EncoderProtocol, generation: GenerationInfo, collection: str) -> None:
    """Raises ModelMismatch unless `generation` was made with this model."""
    if encoder.dimension != generation.dimension or encoder.fingerprint != generation.fingerprint:
        if generation.fingerprint == NO_MODEL:
            raise BadInput(
                f"collection {collection!r} was made without a model (dimension={generation.dimension}), so"
                f" it takes none: `stlib reindex {collection} --model` embeds its texts with one"
            )
        remedy = f"use that model, or `stlib reindex {collection} --model` with this one"
        if generation.model == getattr(encoder, "source", None) == BUNDLED_MODEL_NAME:
            remedy = f"it came with another version; `stlib reindex {collection}` embeds all with this one"
        raise ModelMismatch(
            f"collection {collection!r} was made with {generation.model} ({generation.dimension} dimensions,"
            f" {generation.fingerprint[:12]}), but this is {encoder.name} ({encoder.dimension} dimensions,"
            f" {encoder.fingerprint[:12]}): {remedy}"
        )
