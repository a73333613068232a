"""Bulk loads that are under way: their plans in shards, and which pieces of these are stored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import NUMBER, TEXT

revision = "0008"
down_revision = "0007"

_COUNTS = (
    "received",
    "added",
    "updated",
    "unchanged",
    "duplicates",
    "renamed",
    "moved",
    "skipped",
    "denied",
    "chunks",
)


def upgrade() -> None:
    op.create_table(
        "load",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("identity", sa.JSON(), nullable=False),
        sa.Column("piece_documents", NUMBER, nullable=False),
        sa.Column("first_seq", NUMBER, nullable=False),
        sa.Column("begun_at", TEXT, nullable=False),
        sa.Column("ended_seq", NUMBER, nullable=True),
        sa.Column("others", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_load"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_load_collection_id"),
    )
    op.create_index("ix_load_collection_id", "load", ["collection_id"])
    op.create_table(
        "load_shard",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("load_id", NUMBER, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("stored", NUMBER, nullable=False),
        sa.Column("pieces", NUMBER, nullable=True),
        sa.Column("digest", TEXT, nullable=False),
        *(sa.Column(name, NUMBER, nullable=False) for name in _COUNTS),
        sa.Column("clipped", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=True),
        sa.Column("spec", sa.JSON(), nullable=False),  # the last: who counts reads none of its pages
        sa.PrimaryKeyConstraint("id", name="pk_load_shard"),
        sa.UniqueConstraint("load_id", "number", name="uq_load_shard_load_id_number"),
        sa.ForeignKeyConstraint(["load_id"], ["load.id"], name="fk_load_shard_load_id"),
    )
    op.create_table(
        "load_piece",
        sa.Column("shard_id", NUMBER, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("before", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("files", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("shard_id", "number", name="pk_load_piece"),
        sa.ForeignKeyConstraint(["shard_id"], ["load_shard.id"], name="fk_load_piece_shard_id"),
    )


def downgrade() -> None:
    """Loads that are under way begin anew; what they have stored is found there."""
    op.drop_table("load_piece")
    op.drop_table("load_shard")
    op.drop_index("ix_load_collection_id", "load")
    op.drop_table("load")
