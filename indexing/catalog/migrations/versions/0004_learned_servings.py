"""Servings that were learned: artifacts of numbers, the verdict of the gate, and trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import NUMBER, TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "artifact",
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "fingerprint", name="pk_artifact"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_artifact_collection_id"),
    )
    op.add_column("serving", sa.Column("gate", sa.JSON(), nullable=True))
    op.add_column("collection", sa.Column("trial_serving", NUMBER, nullable=True))


def downgrade() -> None:
    """What was learned is forgotten; servings that used it stay, without it."""
    op.execute("UPDATE serving SET query_model = NULL, memory = NULL")
    op.drop_column("collection", "trial_serving")
    op.drop_column("serving", "gate")
    op.drop_table("artifact")
