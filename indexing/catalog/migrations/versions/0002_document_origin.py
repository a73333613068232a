"""Documents remember the file that gave them their id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexing.catalog.types import TEXT

revision = "0002"
down_revision = "0001"

INDEX = "ix_document_collection_id_origin"


def upgrade() -> None:
    op.add_column("document", sa.Column("origin", TEXT, nullable=True))
    known = sa.text("origin IS NOT NULL")
    op.create_index(
        INDEX, "document", ["collection_id", "origin"], sqlite_where=known, postgresql_where=known
    )


def downgrade() -> None:
    op.drop_index(INDEX, "document")
    op.drop_column("document", "origin")
