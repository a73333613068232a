"""Erasures and what came of them; keyed hashes of what was erased, which keep it from coming back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import NUMBER, TEXT

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("documents", NUMBER, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("begun_at", TEXT, nullable=False),
        sa.Column("ended_at", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=True),
        sa.Column("receipt", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_erasure_collection_id"),
    )
    op.create_index("ix_erasure_collection_id", "erasure", ["collection_id"])
    op.create_table(
        "denial",
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("of", sa.LargeBinary(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("erasure_id", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "of", "kind", name="pk_denial"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_denial_collection_id"),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasure.id"], name="fk_denial_erasure_id"),
    )
    op.create_index("ix_denial_collection_id_digest", "denial", ["collection_id", "digest"])
    op.add_column("collection", sa.Column("denial_key", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """What was erased is not known any more, and may come back."""
    op.drop_column("collection", "denial_key")
    op.drop_index("ix_denial_collection_id_digest", "denial")
    op.drop_table("denial")
    op.drop_index("ix_erasure_collection_id", "erasure")
    op.drop_table("erasure")
