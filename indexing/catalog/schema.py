"""The tables of the catalog. Documents are the truth; chunks and codes follow them, one set per generation.

* Each change of a document takes the next `seq` of its collection; a delete is a change too and leaves a row.
* A generation is one way of turning documents into codes: model, precision, ranges, chunker. It follows the
  document log up to `followed_seq`, and numbers its own changes: `change` is to a generation what `seq` is to
  the documents. A document's chunks in a generation are always those of its present text, or none yet.
* A serving is what decides an answer: a generation, an engine, a ranking, a reranker. It never changes;
  `collection.live_serving` names the one that is searched, and `promotion` keeps the history of that.
* A source is a folder that documents were read from, with a row for each of its files as it was when read.
* An artifact is what a serving has learned: numbers under the hash of their bytes, which never change.
* A load is a bulk load that is under way: its plan in shards, and how far each of them is.
* An erasure is a request that documents be gone for good; denials are keyed digests of them.
* `removal` remembers which chunks ceased to exist and when, so that a view can follow without comparing sets.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from sqlalchemy import (
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from indexing.catalog.types import StoredBigInteger, StoredBytes, StoredInteger, StoredJson, StoredText

__all__ = [
    "CHUNKS",
    "CODES",
    "CODE_TABLES",
    "DOCUMENTS",
    "SPARSE_CODES",
    "TOKEN_CODES",
    "Artifact",
    "Base",
    "Chunk",
    "Code",
    "CollectionRow",
    "Counter",
    "Denial",
    "DocumentRow",
    "Erasure",
    "FileRow",
    "Generation",
    "Load",
    "LoadPiece",
    "LoadShard",
    "Promotion",
    "Removal",
    "Renamed",
    "ServingRow",
    "SourceRow",
    "SparseCode",
    "TokenCode",
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
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: StoredText,
        int: StoredInteger,
        bytes: StoredBytes,
        dict[str, Any]: StoredJson,
    }


class Counter(Base):
    """The last key handed out of each kind (`document`, `chunk`); keys are never used twice."""

    __tablename__ = "counter"
    kind: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int]


class CollectionRow(Base):
    """A named set of documents. `epoch` rises when marks of deleted documents up to `purged_seq` were
    removed: a view that had not followed so far starts anew. `trial_serving` is the one that answers beside
    the live one, for as long as the two are compared. `denial_key` keys the digests of what was erased.
    """

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    uuid: Mapped[str]
    last_seq: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[int] = mapped_column(default=0)
    purged_seq: Mapped[int] = mapped_column(default=0)
    live_serving: Mapped[int | None]
    trial_serving: Mapped[int | None]
    created_at: Mapped[str]
    denial_key: Mapped[bytes | None]


class Generation(Base):
    """One way of turning documents into codes. `codec` is empty until its ranges are known.

    `beside` says by which models passages have codes beside the one of their vector, by role, see
    `indexing.beside`.
    `followed_seq`: every document that was changed up to there has its chunks. `last_change` is the number of
    its newest change, `purged_change` that of the newest removal that is forgotten. `state` is `building`
    until it was served once, then `following`.
    """

    __tablename__ = "generation"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    model: Mapped[str]
    fingerprint: Mapped[str]
    dimension: Mapped[int]
    precision: Mapped[str]
    chunking: Mapped[dict[str, Any]]
    codec: Mapped[str | None]
    beside: Mapped[dict[str, Any] | None]
    clipped: Mapped[int] = mapped_column(default=0)
    state: Mapped[str]
    followed_seq: Mapped[int] = mapped_column(default=0)
    last_change: Mapped[int] = mapped_column(default=0)
    purged_change: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[str]


class ServingRow(Base):
    """What decides an answer. Rows are only added and, with their generation, dropped.

    `analysis` is the version of the text analyser; `query_model` and `memory` name artifacts, a map of the
    vectors of questions and judged questions with their answers; `ranking` has the weights of legs and
    features. `note` says in a few words what was changed to make it. `gate` is for one that was learned: the
    verdict on it, which alone is written later; without one a person's word promotes it.
    """

    __tablename__ = "serving"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id"))
    engine: Mapped[str]
    analysis: Mapped[int]
    query_model: Mapped[dict[str, Any] | None]
    memory: Mapped[dict[str, Any] | None]
    ranking: Mapped[dict[str, Any]]
    reranker: Mapped[dict[str, Any] | None]
    made_from: Mapped[int | None]
    note: Mapped[str]
    gate: Mapped[dict[str, Any] | None]
    created_at: Mapped[str]


class Artifact(Base):
    """What servings of a collection have learned; `fingerprint` is the SHA-256 of `data`, in hex."""

    __tablename__ = "artifact"
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    data: Mapped[bytes]
    created_at: Mapped[str]


class Promotion(Base):
    """A serving became live: `kind` is `create`, `promote` or `rollback`; or its trial began or ended:
    `trial`, `trial end`. `override` is the reason of a person who promoted against the gate.
    """

    __tablename__ = "promotion"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    serving_id: Mapped[int]
    kind: Mapped[str]
    who: Mapped[str]
    override: Mapped[str | None]
    at: Mapped[str]


class SourceRow(Base):
    """A folder whose files are kept in step with the collection (`kind` is `folder`), or one of which single
    files were named (`files`). `root` is its real path; `options` are those of `ReadOptions`.
    """

    __tablename__ = "source"
    __table_args__ = (UniqueConstraint("collection_id", "root", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"))
    root: Mapped[str]
    kind: Mapped[str]
    options: Mapped[dict[str, Any]]
    created_at: Mapped[str]
    synced_at: Mapped[str | None]


class FileRow(Base):
    """A file of a source as it was when it was read to its end.

    `name` is the path below the root, `modified`, `changed` and `read_at` are nanoseconds since 1970,
    `digest` is the BLAKE2b of its bytes, `reader` what read it and how, `problem` why nothing could be read.
    `stale` counts its documents that were not in it when it was read last.
    """

    __tablename__ = "file"
    __table_args__ = (UniqueConstraint("source_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"))
    name: Mapped[str]
    size: Mapped[int] = mapped_column(StoredBigInteger)
    modified: Mapped[int] = mapped_column(StoredBigInteger)
    changed: Mapped[int] = mapped_column(StoredBigInteger)
    inode: Mapped[int] = mapped_column(StoredBigInteger)
    digest: Mapped[bytes]
    read_at: Mapped[int] = mapped_column(StoredBigInteger)
    reader: Mapped[str]
    problem: Mapped[str | None]
    stale: Mapped[int] = mapped_column(default=0)


class Renamed(Base):
    """A document got another id: for those who know it by the old one. Those of one `batch` were renamed at
    once: two may have changed names.
    """

    __tablename__ = "renamed"
    __table_args__ = (Index(None, "collection_id", "old_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"))
    batch: Mapped[int]
    old_id: Mapped[str]
    new_id: Mapped[str]
    at: Mapped[str]


_HAS_ORIGIN = text("origin IS NOT NULL")
_OF_A_FILE = text("file_id IS NOT NULL")


class DocumentRow(Base):
    """The current version of a document, or the mark that it was deleted (then text, title and metadata are
    empty). `hash` is that of id, title and text, `metadata_hash` that of id and metadata. `file_id` is the
    file that it was read from last; `marks` are where its pages, lines and headings begin (JSON, see
    `indexing.documents.marks`).
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
        Index(None, "file_id", sqlite_where=_OF_A_FILE, postgresql_where=_OF_A_FILE),
    )
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"))
    id: Mapped[str]
    seq: Mapped[int]
    hash: Mapped[bytes]
    metadata_hash: Mapped[bytes]
    deleted: Mapped[bool]
    title: Mapped[str]
    text: Mapped[str]
    meta: Mapped[str] = mapped_column("metadata")
    origin: Mapped[str | None]  # absolute path of the file that gave the id, with its line for a row
    file_id: Mapped[int | None]
    marks: Mapped[str | None]


class Chunk(Base):
    """A span of a document's text, in characters, as one generation cuts it."""

    __tablename__ = "chunk"
    __table_args__ = (Index(None, "generation_id", "change"),)
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id"))
    document_key: Mapped[int] = mapped_column(index=True)
    change: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]


class Code(Base):
    """A chunk's quantised vector. Narrow on purpose: codes are read in bulk."""

    __tablename__ = "code"
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[bytes]


class SparseCode(Base):
    """A chunk's weighted terms, see `indexing.beside.sparse_codes`; of generations with such a model only."""

    __tablename__ = "sparse_code"
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[bytes]


class TokenCode(Base):
    """The quantised vectors of a chunk's tokens; of generations with such a model only."""

    __tablename__ = "token_code"
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[bytes]


class Removal(Base):
    """A chunk that ceased to exist with this change of its generation."""

    __tablename__ = "removal"
    __table_args__ = (Index(None, "generation_id", "change"),)
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id"))
    change: Mapped[int]


class Erasure(Base):
    """Documents that were erased, or are being: `state` is `begun`, `pending` or `done`.

    `wanted` names them for as long as a run that was killed has to go on; it is empty once nothing else here
    names them. `receipt` is what was done, and never names them.
    """

    __tablename__ = "erasure"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    documents: Mapped[int]
    who: Mapped[str]
    begun_at: Mapped[str]
    ended_at: Mapped[str | None]
    state: Mapped[str]
    wanted: Mapped[dict[str, Any] | None]
    receipt: Mapped[dict[str, Any] | None]


class Denial(Base):
    """A document that was erased must not come back, by its id (`kind` is `id`) or its text (`text`).

    `digest` is keyed by the collection's `denial_key`, see `indexing.catalog.denials`; `of` is the digest of
    the id, of a text that of the document which had it.
    """

    __tablename__ = "denial"
    __table_args__ = (Index(None, "collection_id", "digest"),)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), primary_key=True)
    of: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    erasure_id: Mapped[int] = mapped_column(ForeignKey("erasure.id"))


class Load(Base):
    """A bulk load that is not finished. `identity` is what it is of, addresses and options; one starts again
    with the plan of the other that has the same. `token` is that of its latest start: who comes with another
    one may not write. `state` is `planning` until all shards are there, then `open`. `first_seq` is the
    collection's `last_seq` when it began. Sizes of pieces are part of the plan. `ended_seq` is the last
    number that its writers can have written before they were kept out; `others` has the `ranges` of numbers
    (after the first, up to the second) that came from elsewhere between two starts.
    """

    __tablename__ = "load"
    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id"), index=True)
    token: Mapped[str]
    state: Mapped[str]
    identity: Mapped[dict[str, Any]]
    piece_documents: Mapped[int]
    first_seq: Mapped[int]
    begun_at: Mapped[str]
    ended_seq: Mapped[int | None]
    others: Mapped[dict[str, Any] | None]


class LoadShard(Base):
    """A part of what is loaded. Of its pieces the first `stored` are in the catalog; `pieces` is how many it
    has, once its last one was seen. `state` is `waiting`, `done`, or `bad` with the `reason`. The counts are
    of its documents; `seen` has the first of what was skipped and noted, and by file how many stayed out.
    `digest` tells whether the source is read as it was: of what was in the stored pieces, see `Piece`. `spec`
    is large and the last column, so that counting does not read it.
    """

    __tablename__ = "load_shard"
    __table_args__ = (UniqueConstraint("load_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    load_id: Mapped[int] = mapped_column(ForeignKey("load.id"))
    number: Mapped[int]
    kind: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    stored: Mapped[int]
    pieces: Mapped[int | None]
    digest: Mapped[str]
    received: Mapped[int]
    added: Mapped[int]
    updated: Mapped[int]
    unchanged: Mapped[int]
    duplicates: Mapped[int]
    renamed: Mapped[int]
    moved: Mapped[int]
    skipped: Mapped[int]
    denied: Mapped[int]
    chunks: Mapped[int]
    clipped: Mapped[int] = mapped_column(StoredBigInteger)
    seen: Mapped[dict[str, Any] | None]
    spec: Mapped[dict[str, Any]]


class LoadPiece(Base):
    """A piece that is stored while one before it is not; the others are counted by their shard. `files` were
    read to their end in it; `before` and `digest` are of the piece, see `indexing.bulk.pieces.Piece`.
    """

    __tablename__ = "load_piece"
    shard_id: Mapped[int] = mapped_column(ForeignKey("load_shard.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    before: Mapped[str]
    digest: Mapped[str]
    files: Mapped[dict[str, Any] | None]


# For bulk rows, which go to the driver's executemany without the ORM.
DOCUMENTS = cast(Table, DocumentRow.__table__)
CHUNKS = cast(Table, Chunk.__table__)
CODES = cast(Table, Code.__table__)
SPARSE_CODES = cast(Table, SparseCode.__table__)
TOKEN_CODES = cast(Table, TokenCode.__table__)
CODE_TABLES = {"": CODES, "sparse": SPARSE_CODES, "tokens": TOKEN_CODES}
"""Where codes of chunks lie, by role, see `indexing.names.ROLES`; those of vectors have none."""
