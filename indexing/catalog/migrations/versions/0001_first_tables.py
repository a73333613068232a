"""First tables: collections, generations, documents, chunks, codes, removals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import NUMBER, TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_collections()
    _create_documents()
    _create_chunks()


def _create_collections() -> None:
    op.create_table(
        "counter",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("last", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_counter"),
    )
    op.execute("INSERT INTO counter (kind, last) VALUES ('document', 0), ('chunk', 0)")
    op.create_table(
        "collection",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("uuid", TEXT, nullable=False),
        sa.Column("last_seq", NUMBER, nullable=False),
        sa.Column("epoch", NUMBER, nullable=False),
        sa.Column("live_generation", NUMBER, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
    )
    op.create_table(
        "generation",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("dimension", NUMBER, nullable=False),
        sa.Column("precision", TEXT, nullable=False),
        sa.Column("engine", TEXT, nullable=False),
        sa.Column("chunking", sa.JSON(), nullable=False),
        sa.Column("codec", TEXT, nullable=True),
        sa.Column("clipped", NUMBER, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_generation_collection_id"),
    )
    op.create_index("ix_generation_collection_id", "generation", ["collection_id"])


def _create_documents() -> None:
    op.create_table(
        "document",
        sa.Column("key", NUMBER, autoincrement=False, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("metadata", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_document"),
        sa.UniqueConstraint("collection_id", "id", name="uq_document_collection_id_id"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_document_collection_id"),
    )
    op.create_index("ix_document_collection_id_seq", "document", ["collection_id", "seq"])


def _create_chunks() -> None:
    op.create_table(
        "chunk",
        sa.Column("key", NUMBER, autoincrement=False, nullable=False),
        sa.Column("generation_id", NUMBER, nullable=False),
        sa.Column("document_key", NUMBER, nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("start", NUMBER, nullable=False),
        sa.Column("end", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_chunk"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name="fk_chunk_generation_id"),
    )
    op.create_index("ix_chunk_document_key", "chunk", ["document_key"])
    op.create_index("ix_chunk_generation_id_seq", "chunk", ["generation_id", "seq"])
    op.create_table(
        "code",
        sa.Column("key", NUMBER, autoincrement=False, nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_code"),
    )
    op.create_table(
        "removal",
        sa.Column("key", NUMBER, autoincrement=False, nullable=False),
        sa.Column("generation_id", NUMBER, nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_removal"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name="fk_removal_generation_id"),
    )
    op.create_index("ix_removal_generation_id_seq", "removal", ["generation_id", "seq"])


def downgrade() -> None:
    for table in ("removal", "code", "chunk", "document", "generation", "collection", "counter"):
        op.drop_table(table)
