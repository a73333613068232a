"""What a collection is and how large."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from indexing.beside.models import read_beside
from indexing.catalog.beside import estimate_beside
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import GenerationInfo
from indexing.counting import count_chunks, count_documents
from indexing.session import Session
from indexing.storage.files import bytes_below
from indexing.views.manager import Views

__all__ = ["CollectionInfo", "describe"]


@dataclass(frozen=True)
class CollectionInfo:
    """Counts, settings of what is live, bytes on disk and in memory.

    `beside` says of each role in `indexing.names.ROLES` that passages have codes for by which `model` they
    are, and about their `size` in bytes.
    `clipped_values` is how many code values lay outside the ranges, `keyword_lag` how many changes the
    keyword index still has to follow, `memory_bytes` what the vector engine holds and `mapped_bytes` what it
    maps.
    """

    name: str
    documents: int
    chunks: int
    model: str
    dimension: int
    precision: str
    engine: str
    chunking: dict[str, Any]
    beside: dict[str, dict[str, Any]]
    clipped_values: int
    serving: int
    generation: int
    reranker: str | None
    last_seq: int
    keyword_lag: int
    catalog_bytes: int
    view_bytes: int
    memory_bytes: int
    mapped_bytes: int
    path: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def describe(session: Session, views: Views) -> CollectionInfo:
    """The collection as it is at one moment."""
    followed = views.words.seq()  # looked up first, as the log only grows
    with session.looking() as (connection, state):
        live = session.read_live(connection, state)
        beside = _describe_beside(connection, live.generation)
        documents = count_documents(connection, session, views)
        chunks = count_chunks(connection, session, views, live)
    vectors = views.vectors(live)
    memory, mapped = (0, 0) if vectors is None else vectors.file_bytes()
    generation, serving = live.generation, live.serving
    return CollectionInfo(
        name=session.name,
        documents=documents,
        chunks=chunks,
        model=generation.model,
        dimension=generation.dimension,
        precision=generation.precision,
        engine=serving.engine,
        chunking=generation.chunking,
        beside=beside,
        clipped_values=generation.clipped,
        serving=serving.id,
        generation=generation.id,
        reranker=None if serving.reranker is None else str(serving.reranker.get("name")),
        last_seq=state.last_seq,
        keyword_lag=max(0, state.last_seq - followed),
        catalog_bytes=dialect_of(session.database).file_bytes(session.database, session.place.catalog),
        view_bytes=bytes_below(session.place.views),
        memory_bytes=memory,
        mapped_bytes=mapped,
        path=str(session.place.catalog),
    )


def _describe_beside(connection: Connection, generation: GenerationInfo) -> dict[str, dict[str, Any]]:
    return {
        role: {"model": model.model, "size": estimate_beside(connection, generation.id, role)}
        for role, model in read_beside(generation.beside).items()
    }
