"""Servings: what is searched is a generation with an engine, a ranking and a reranker, and can be another
one.

Generations number their own changes and remember how far they have followed the documents. The hash of a
document is parted in two: what is embedded, and metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from indexing.catalog.hashing import hash_metadata, hash_parts, hash_text
from indexing.catalog.types import NUMBER, TEXT

revision = "0003"
down_revision = "0002"

ROWS = 2_000


def upgrade() -> None:
    _create_servings()
    _extend_collections_and_generations()
    _serve_what_was_live()
    _rename_changes()
    _part_hashes()


def _create_servings() -> None:
    op.create_table(
        "serving",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("generation_id", NUMBER, nullable=False),
        sa.Column("engine", TEXT, nullable=False),
        sa.Column("analysis", NUMBER, nullable=False),
        sa.Column("query_model", sa.JSON(), nullable=True),
        sa.Column("memory", sa.JSON(), nullable=True),
        sa.Column("ranking", sa.JSON(), nullable=False),
        sa.Column("reranker", sa.JSON(), nullable=True),
        sa.Column("made_from", NUMBER, nullable=True),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_serving"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_serving_collection_id"),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name="fk_serving_generation_id"),
    )
    op.create_index("ix_serving_collection_id", "serving", ["collection_id"])
    op.create_table(
        "promotion",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("collection_id", NUMBER, nullable=False),
        sa.Column("serving_id", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("who", TEXT, nullable=False),
        sa.Column("override", TEXT, nullable=True),
        sa.Column("at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotion"),
        sa.ForeignKeyConstraint(["collection_id"], ["collection.id"], name="fk_promotion_collection_id"),
    )
    op.create_index("ix_promotion_collection_id", "promotion", ["collection_id"])


def _extend_collections_and_generations() -> None:
    whole: dict[str, Any] = {"nullable": False, "server_default": "0"}
    op.add_column("collection", sa.Column("purged_seq", NUMBER, **whole))
    op.add_column("collection", sa.Column("live_serving", NUMBER, nullable=True))
    op.add_column("generation", sa.Column("state", TEXT, nullable=False, server_default="following"))
    for name in ("followed_seq", "last_change", "purged_change"):
        op.add_column("generation", sa.Column(name, NUMBER, **whole))


def _serve_what_was_live() -> None:
    """Each generation so far gets a serving of its own; its changes had the numbers of the documents'."""
    last_seq = "(SELECT last_seq FROM collection WHERE collection.id = generation.collection_id)"
    op.execute(f"UPDATE generation SET followed_seq = {last_seq}, last_change = {last_seq}")  # noqa: S608
    op.execute(
        "INSERT INTO serving (id, collection_id, generation_id, engine, analysis, ranking, note, created_at)"
        " SELECT id, collection_id, id, engine, 1, '{}', 'created', created_at FROM generation"
    )
    op.execute("UPDATE collection SET live_serving = live_generation")
    op.execute(
        "INSERT INTO promotion (collection_id, serving_id, kind, who, at)"
        " SELECT id, live_serving, 'create', '', created_at FROM collection WHERE live_serving IS NOT NULL"
    )
    op.drop_column("collection", "live_generation")
    op.drop_column("generation", "engine")


def _rename_changes() -> None:
    for table in ("chunk", "removal"):
        op.drop_index(f"ix_{table}_generation_id_seq", table)
        op.execute(f"ALTER TABLE {table} RENAME COLUMN seq TO change")
        op.create_index(f"ix_{table}_generation_id_change", table, ["generation_id", "change"])


def _part_hashes() -> None:
    op.add_column("document", sa.Column("metadata_hash", sa.LargeBinary(), nullable=False, server_default=""))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE document SET metadata_hash = X''")  # a default of this type is no blob there
    for rows in _live_documents():
        hashes = [
            {
                "the_key": row.key,
                "of_text": hash_text(row.id, row.title, row.text),
                "of_metadata": hash_metadata(row.id, row.metadata),
            }
            for row in rows
        ]
        values: dict[str, Any] = {
            "hash": sa.bindparam("of_text"),
            "metadata_hash": sa.bindparam("of_metadata"),
        }
        op.get_bind().execute(_update_document().values(values), hashes)


_DOCUMENT = sa.table(
    "document",
    *(sa.column(name) for name in ("key", "id", "deleted", "title", "text", "metadata")),
    sa.column("hash", sa.LargeBinary),
    sa.column("metadata_hash", sa.LargeBinary),
)


def _live_documents() -> Iterator[Sequence[Any]]:
    """Rows of live documents, some at a time: key, id, title, text, metadata."""
    names = ("key", "id", "title", "text", "metadata")
    statement = sa.select(*(_DOCUMENT.c[name] for name in names)).where(sa.not_(_DOCUMENT.c.deleted))
    after = -1
    while (
        rows := op.get_bind()
        .execute(statement.where(_DOCUMENT.c.key > after).order_by(_DOCUMENT.c.key).limit(ROWS))
        .all()
    ):
        yield rows
        after = rows[-1].key


def _update_document() -> Any:
    return _DOCUMENT.update().where(_DOCUMENT.c.key == sa.bindparam("the_key"))


def downgrade() -> None:
    """Back to one generation per collection; servings other than the live one are forgotten."""
    for rows in _live_documents():
        hashes = [{"the_key": r.key, "one": hash_parts(r.title, r.text, r.metadata)} for r in rows]
        op.get_bind().execute(_update_document().values(hash=sa.bindparam("one")), hashes)
    op.drop_column("document", "metadata_hash")
    for table in ("chunk", "removal"):
        op.drop_index(f"ix_{table}_generation_id_change", table)
        op.execute(f"ALTER TABLE {table} RENAME COLUMN change TO seq")
        op.create_index(f"ix_{table}_generation_id_seq", table, ["generation_id", "seq"])
    op.add_column("collection", sa.Column("live_generation", NUMBER, nullable=True))
    op.add_column("generation", sa.Column("engine", TEXT, nullable=False, server_default="faiss"))
    op.execute(
        "UPDATE collection SET live_generation ="
        " (SELECT generation_id FROM serving WHERE serving.id = collection.live_serving)"
    )
    for name in ("state", "followed_seq", "last_change", "purged_change"):
        op.drop_column("generation", name)
    for name in ("purged_seq", "live_serving"):
        op.drop_column("collection", name)
    op.drop_table("promotion")
    op.drop_table("serving")
