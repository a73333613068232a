"""Making, opening and deleting collections, before and after there is a `Collection` to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from indexing import faults
from indexing.beside.models import read_beside, write_beside
from indexing.catalog.collections import CollectionState, create_collection, drop_collection, find_collection
from indexing.catalog.database import reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import (
    FOLLOWING,
    GenerationInfo,
    create_generation,
    generations_of,
    read_generation,
)
from indexing.catalog.migrate import ensure_schema
from indexing.catalog.reads import count_documents
from indexing.catalog.servings import CREATE, create_serving, read_serving, set_live
from indexing.documents import ChunkSettings
from indexing.errors import BadInput, ModelMismatch, UnknownCollection
from indexing.lexical.analysis import ANALYSIS_VERSION
from indexing.listing import list_collections
from indexing.milvus.marker import prefix_of
from indexing.models.beside import describe_beside, load_beside
from indexing.models.encoders import load_encoder, recorded_name, remember_encoder
from indexing.names import NO_MODEL, PRECISIONS, SERVER_ENGINES
from indexing.opening import already_exists, creating, open_catalog, refuse_existing
from indexing.session import Session
from indexing.storage.files import remove, remove_if_empty
from indexing.storage.paths import Home, Place, ServerDatabase, collection_place
from indexing.vectors import check_engine, engine_class
from indexing.vectors.table_state import drop_tables, has_tables
from indexing.vectors.vector_table import require_extension
from indexing.views.milvus_leftovers import drop_leftovers, note_leftovers, require_far, uses_milvus
from stlib.runtime import EncoderProtocol

__all__ = ["Opened", "create", "drop", "find"]


@dataclass(frozen=True)
class Opened:
    """A collection that was found or made: what a `Session` is made of, the model that a person gave, and
    those of what passages have beside their vectors, by role.
    """

    database: Engine
    place: Place
    state: CollectionState
    encoder: EncoderProtocol | None
    beside: Mapping[str, Any] = field(default_factory=dict)


def create(
    name: str,
    model: Any,
    *,
    dimension: int | None,
    precision: str,
    engine: str,
    home: Home,
    db: str | None,
    chunk: ChunkSettings | None,
    beside: Mapping[str, Any],
) -> Opened:
    """Makes a collection. See `Collection.create`."""
    place = collection_place(name, home, db)
    _check(model, dimension, precision)
    if chunk is not None and not isinstance(chunk, ChunkSettings):
        raise BadInput(f"chunk of type {type(chunk).__name__}: give ChunkSettings(max_tokens, overlap)")
    engine_class(engine)
    refuse_existing(place)
    encoder = None if dimension is not None else remember_encoder(model, load_encoder(model))
    others = {role: load_beside(role, given) for role, given in beside.items()}
    recorded = {role: describe_beside(role, beside[role], one) for role, one in others.items()}
    size = dimension if encoder is None else encoder.dimension
    assert size is not None
    check_engine(engine, precision, size, on_server=isinstance(place.catalog, ServerDatabase))
    require_far(engine)
    generation: dict[str, Any] = {
        "model": "" if encoder is None else recorded_name(model, encoder),
        "fingerprint": NO_MODEL if encoder is None else encoder.fingerprint,
        "dimension": size,
        "precision": precision,
        "chunking": (chunk or ChunkSettings()).to_json(opening=getattr(encoder, "is_static", False)),
        "beside": write_beside(recorded),
    }
    # Another process may be making or deleting a collection of this name, and its folder with it.
    with creating(place) as database:
        ensure_schema(database)
        with writing(database) as connection:
            if find_collection(connection, name) is not None:
                raise already_exists(place)
            if engine in SERVER_ENGINES:
                require_extension(connection)
            id_ = create_collection(connection, name)
            serving = {
                "generation_id": create_generation(connection, id_, state=FOLLOWING, **generation),
                "engine": engine,
                "analysis": ANALYSIS_VERSION,
                "query_model": None,
                "memory": None,
                "ranking": {},
                "reranker": None,
                "made_from": None,
                "note": "created",
                "gate": None,
            }
            set_live(connection, id_, create_serving(connection, id_, serving), CREATE)
            state = find_collection(connection, name)
        assert state is not None
        return Opened(database, place, state, encoder, others)


def _check(model: Any, dimension: int | None, precision: str) -> None:
    if precision not in PRECISIONS:
        raise BadInput(f"precision {precision!r}: use one of {', '.join(PRECISIONS)}")
    if dimension is None:
        return
    if model is not None:
        raise BadInput("give model= or dimension=, not both: a model knows its dimension")
    if isinstance(dimension, bool) or not isinstance(dimension, int) or not 1 <= dimension <= MAX_DIMENSION:
        raise BadInput(f"dimension = {dimension!r}: give a whole number from 1 to {MAX_DIMENSION}")


MAX_DIMENSION = 65_536
"""Far beyond any model."""


def find(
    name: str, home: Home, db: str | None, model: Any, beside: Mapping[str, Any] | None = None
) -> Opened:
    """Opens the catalog of a collection. See `Collection.open`."""
    place = collection_place(name, home, db)
    if dialect_of(place.catalog).exists(place.catalog):
        with open_catalog(place) as database:
            ensure_schema(database)
            with reading(database) as connection:
                state = find_collection(connection, name)
            if state is not None:
                generation = _generation_of(database, state)
                given = _load_given(generation, model)
                return Opened(database, place, state, given, _load_beside(generation, name, beside or {}))
            database.dispose()
    listing = list_collections(home, db)
    known = ", ".join(listing.names) or "none yet"
    damaged = f"; damaged: {', '.join(listing.damaged)}" if listing.damaged else ""
    raise UnknownCollection(f"no collection {name!r}; there are: {known}{damaged}")


def _generation_of(database: Engine, state: CollectionState) -> GenerationInfo | None:
    """What is live; None where the catalog is damaged, which is told when it is searched."""
    with reading(database) as connection:
        serving = read_serving(connection, state.live_serving)
        return None if serving is None else read_generation(connection, serving.generation_id)


def _load_beside(generation: GenerationInfo | None, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The models that a person gave for what passages have beside their vectors, by role.

    Raises:
        ModelMismatch: the collection was made with another one, or without.
    """
    live = {} if generation is None else read_beside(generation.beside)
    loaded = {}
    for role, model in given.items():
        known = live.get(role)
        encoder = load_beside(role, model, None if known is None else known.fingerprint)
        if known is None or known.fingerprint != encoder.fingerprint:
            made = f"with {known.model} ({known.fingerprint[:12]})" if known else f"without --{role}"
            raise ModelMismatch(
                f"collection {name!r} was made {made}, but --{role} is {encoder.name}"
                f" ({encoder.fingerprint[:12]}): leave it away, or `stlib reindex {name} --{role}` with this"
            )
        describe_beside(role, model, encoder, known)
        loaded[role] = encoder
    return loaded


def _load_given(generation: GenerationInfo | None, model: Any) -> EncoderProtocol | None:
    """The model that a person gave, in the form that the collection was made with."""
    if model is None:
        return None
    fingerprint = None if generation is None else generation.fingerprint
    return remember_encoder(model, load_encoder(model, fingerprint=fingerprint))


def drop(session: Session, *, only_if_empty: bool) -> bool:
    """Deletes a collection. See `Collection.drop`.

    Where the catalog is its own, only its name is taken away, which needs no room on the disk.
    """
    with session.writing_documents():
        if only_if_empty:
            with session.looking() as (connection, _):
                if count_documents(connection, session.id):
                    return False
        with reading(session.database) as connection:
            if uses_milvus(connection, session):
                note_leftovers(session.place, [prefix_of(session.uuid)])
        if session.place.shared_catalog:
            with writing(session.database) as connection:
                ids = [one.id for one in generations_of(connection, session.id)]
                drop_collection(connection, session.id)
                if has_tables(session.database):  # after that, as another host may be making one until then
                    drop_tables(connection, ids)
        session.database.dispose()
        faults.point("drop.rows")
        remove(session.place.folder)
        drop_leftovers(session.place)
        if session.place.shared_catalog:
            remove_if_empty(session.place.folder.parent)
        return True
