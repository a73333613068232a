"""Codes of passages beside the one of their vector: weighted terms, and vectors of tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import NUMBER

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for table in ("sparse_code", "token_code"):
        op.create_table(
            table,
            sa.Column("key", NUMBER, autoincrement=False, nullable=False),
            sa.Column("code", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("key", name=f"pk_{table}"),
        )
    op.add_column("generation", sa.Column("beside", sa.JSON(), nullable=True))


def downgrade() -> None:
    """What was stored beside the vectors is forgotten; they stay."""
    op.drop_column("generation", "beside")
    op.drop_table("token_code")
    op.drop_table("sparse_code")
