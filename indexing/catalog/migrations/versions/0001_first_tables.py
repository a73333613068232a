"""First tables: collections, generations, documents, chunks, codes, removals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_collections()
    _create_documents()
    _create_chunks()


def _create_collections() -> None:
    op.create_table(
        "counter",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_counter"),
    )
    op.execute("INSERT INTO counter (kind, last) VALUES ('document', 0), ('chunk', 0)")
    op.create_table(
        "collection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("live_generation", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("name", name="uq_collection_name"),
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("precision", sa.String(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("chunking", sa.JSON(), nullable=False),
        sa.Column("codec", sa.String(), nullable=True),
        sa.Column("clipped", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_generation_collection_id"),
    )
    op.create_index("ix_generation_collection_id", "generation", ["collection_id"])


def _create_documents() -> None:
    op.create_table(
        "document",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("metadata", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_document"),
        sa.UniqueConstraint("collection_id", "id", name="uq_document_collection_id_id"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_document_collection_id"),
    )
    op.create_index("ix_document_collection_id_seq", "document", ["collection_id", "seq"])


def _create_chunks() -> None:
    op.create_table(
        "chunk",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("document_key", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_chunk"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name="fk_chunk_generation_id"),
    )
    op.create_index("ix_chunk_document_key", "chunk", ["document_key"])
    op.create_index("ix_chunk_generation_id_seq", "chunk", ["generation_id", "seq"])
    op.create_table(
        "code",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_code"),
    )
    op.create_table(
        "removal",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_removal"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name="fk_removal_generation_id"),
    )
    op.create_index("ix_removal_generation_id_seq", "removal", ["generation_id", "seq"])


def downgrade() -> None:
    for table in ("removal", "code", "chunk", "document", "generation", "collection", "counter"):
        op.drop_table(table)
