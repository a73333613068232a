"""Finding, refusing and opening: what `Collection` does before there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from indexing.catalog import sqlite
from indexing.catalog.collections import collection_names
from indexing.catalog.database import open_database, reading
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.migrate import known_revision
from indexing.errors import BadInput, CollectionExists, ModelMismatch
from indexing.names import NO_MODEL
from indexing.session import documents_lock
from indexing.storage.files import remove, remove_if_empty
from indexing.storage.paths import Place
from stlib.runtime import BUNDLED_MODEL_NAME, EncoderProtocol

__all__ = ["already_exists", "check_model", "creation_lock", "open_catalog", "refuse_existing"]


@contextmanager
def open_catalog(catalog: Path, *, create: bool = False) -> Iterator[Engine]:
    """The catalog's database, which is closed again after an error."""
    database = open_database(catalog, create=create)
    try:
        yield database
    except BaseException:
        database.dispose()
        raise


def refuse_existing(place: Place) -> None:
    """Raises CollectionExists. Asked before the lock is taken, which one who adds documents holds.

    Nothing is upgraded for it: of a catalog of an older schema only the names are read.
    """
    if not sqlite.exists(place.catalog):
        return
    with open_catalog(place.catalog) as database:
        if known_revision(database) is not None:
            with reading(database) as connection:
                if place.name in collection_names(connection):
                    raise already_exists(place)
        database.dispose()


@contextmanager
def creation_lock(place: Place) -> Iterator[None]:
    """The lock for making a collection. After an error no folder is left that was made for it; a catalog that
    other collections may be in stays.
    """
    folders = {*place.locks.parents, place.locks, *place.catalog.parents}
    missing = sorted((folder for folder in folders if not folder.exists()), reverse=True)
    try:
        with documents_lock(place):
            try:
                yield
            except BaseException:
                if place.folder in missing:
                    remove(place.folder)  # while the lock is held: nobody else makes this collection now
                raise
    except BaseException:
        for folder in missing:  # what lies within others comes first
            remove_if_empty(folder)
        raise


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
