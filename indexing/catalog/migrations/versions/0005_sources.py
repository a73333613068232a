"""Sources, which documents were read from, with their files; where pages and headings begin in a text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import NUMBER, TEXT

revision = "0005"
down_revision = "0004"

_OF_A_FILE = "file_id IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "source",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("root", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("synced_at", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_source_collection_id"),
        sa.UniqueConstraint("collection_id", "root", "kind", name="uq_source_collection_id_root_kind"),
    )
    op.create_table(
        "file",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("source_id", NUMBER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("reader", TEXT, nullable=False),
        sa.Column("problem", TEXT, nullable=True),
        sa.Column("stale", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_file"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_file_source_id"),
        sa.UniqueConstraint("source_id", "name", name="uq_file_source_id_name"),
    )
    op.create_table(
        "renamed",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("batch", NUMBER, nullable=False),
        sa.Column("old_id", TEXT, nullable=False),
        sa.Column("new_id", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_renamed"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_renamed_collection_id"),
    )
    op.create_index("ix_renamed_collection_id_old_id", "renamed", ["collection_id", "old_id"])
    op.add_column("document", sa.Column("file_id", NUMBER, nullable=True))
    op.add_column("document", sa.Column("marks", TEXT, nullable=True))
    op.create_index(
        "ix_document_file_id",
        "document",
        ["file_id"],
        sqlite_where=sa.text(_OF_A_FILE),
        postgresql_where=sa.text(_OF_A_FILE),
    )


def downgrade() -> None:
    """Sources are forgotten; the documents that came from them stay."""
    op.drop_index("ix_document_file_id", "document")
    op.drop_column("document", "marks")
    op.drop_column("document", "file_id")
    op.drop_table("renamed")
    op.drop_table("file")
    op.drop_table("source")
