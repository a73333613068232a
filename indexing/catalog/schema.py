"""The tables of the catalog. Documents are the truth; chunks and codes follow them, one set per generation.

* Each change of a document takes the next `seq` of its collection; a delete is a change too and leaves a row.
* A generation is one way of turning documents into codes: model, precision, ranges, chunker. The schema
  allows several per collection; `collection.live_generation` names the one that is searched.
* `removal` remembers which chunks ceased to exist and when, so that a view can follow without comparing sets.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, MetaData, Table, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "CHUNKS",
    "CODES",
    "DOCUMENTS",
    "Base",
    "Chunk",
    "Code",
    "CollectionRow",
    "Counter",
    "DocumentRow",
    "Generation",
    "Removal",
]

# Named constraints, because a later migration can only change what it can name.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


class Counter(Base):
    """The last key handed out of each kind (`document`, `chunk`); keys are never used twice."""

    __tablename__ = "counter"
    kind: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int]


class CollectionRow(Base):
    """A named set of documents. `epoch` rises when rows that views rely on were compacted away."""

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    uuid: Mapped[str]
    last_seq: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[int] = mapped_column(default=0)
    live_generation: Mapped[int | None]
    created_at: Mapped[str]


class Generation(Base):
    """One way of turning documents into codes. `codec` is empty until the first vectors calibrate it."""

    __tablename__ = "generation"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    model: Mapped[str]
    fingerprint: Mapped[str]
    dimension: Mapped[int]
    precision: Mapped[str]
    engine: Mapped[str]
    chunking: Mapped[dict[str, Any]] = mapped_column(JSON)
    codec: Mapped[str | None]
    clipped: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[str]


_HAS_ORIGIN = text("origin IS NOT NULL")


class DocumentRow(Base):
    """The current version of a document, or the mark that it was deleted (then text, title and metadata are
    empty).
    """

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("collection_id", "id"),
        Index(None, "collection_id", "seq"),
        Index(
            None,
            "collection_id",
            "origin",
            sqlite_where=_HAS_ORIGIN,
            postgresql_where=_HAS_ORIGIN,
        ),
    )
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"))
    id: Mapped[str]
    seq: Mapped[int]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    deleted: Mapped[bool]
    title: Mapped[str]
    text: Mapped[str]
    meta: Mapped[str] = mapped_column("metadata")
    origin: Mapped[str | None]  # absolute path of the file that gave the id, with its line for a row


class Chunk(Base):
    """A span of a document's text, in characters, as one generation cuts it."""

    __tablename__ = "chunk"
    __table_args__ = (Index(None, "generation_id", "seq"),)
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id"))
    document_key: Mapped[int] = mapped_column(index=True)
    seq: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]


class Code(Base):
    """A chunk's quantised vector. Narrow on purpose: codes are read in bulk."""

    __tablename__ = "code"
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[bytes] = mapped_column(LargeBinary)


class Removal(Base):
    """A chunk that ceased to exist with change `seq`."""

    __tablename__ = "removal"
    __table_args__ = (Index(None, "generation_id", "seq"),)
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id"))
    seq: Mapped[int]


# For bulk rows, which go to the driver's executemany without the ORM.
DOCUMENTS = cast(Table, DocumentRow.__table__)
CHUNKS = cast(Table, Chunk.__table__)
CODES = cast(Table, Code.__table__)
