"""Reading what passages have beside their vectors: of some of them for a search, and how much it is."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from indexing.catalog.log import slices
from indexing.catalog.reads import count_chunks
from indexing.catalog.schema import CODE_TABLES, Chunk

__all__ = ["codes_of_passages", "estimate_beside"]

# Codes whose lengths stand for those of all.
SAMPLED_CODES = 1_000


def codes_of_passages(
    connection: Connection, generation_id: int, best: Mapping[int, int], role: str, reach: int
) -> dict[int, list[bytes]]:
    """document key → the codes of a role that some of its passages have in this generation, in their order.

    `best` says document key → the key of its best chunk: the codes are of that and of `reach` chunks on
    either side; below 0 it is not known, and they are of as many at the beginning. A document that has none
    is left out.
    """
    table = CODE_TABLES[role]
    columns = (Chunk.key, Chunk.document_key, Chunk.generation_id, table.c.code)
    statement = select(*columns).join(table, table.c.key == Chunk.key).order_by(Chunk.key)
    found: dict[int, list[bytes]] = {}
    # The chunks of a document get their keys together, so that its next passage has the next one.
    near = {chunk + step for chunk in best.values() if chunk >= 0 for step in range(-reach, reach + 1)}
    for part in slices(sorted(near)):
        for chunk, key, generation, code in connection.execute(statement.where(Chunk.key.in_(part))):
            if generation == generation_id and abs(chunk - best.get(key, -reach - 1)) <= reach:
                found.setdefault(key, []).append(code)
    for key in (key for key, chunk in best.items() if chunk < 0):
        of_document = (Chunk.document_key == key, Chunk.generation_id == generation_id)
        rows = connection.execute(statement.where(*of_document).limit(2 * reach + 1))
        if codes := [code for *_, code in rows]:
            found[key] = codes
    return found


def estimate_beside(connection: Connection, generation_id: int, role: str) -> int:
    """About how many bytes the codes of a role have together: exactly while they are few, else by a sample,
    as reading how long each is means to read them all.
    """
    table = CODE_TABLES[role]
    chunks = count_chunks(connection, generation_id)
    step = max(1, chunks // SAMPLED_CODES)
    sampled = (Chunk.generation_id == generation_id, Chunk.key % step == 0)
    statement = select(func.count(), func.sum(func.length(table.c.code)))
    count, total = connection.execute(
        statement.select_from(Chunk).join(table, table.c.key == Chunk.key).where(*sampled)
    ).one()
    return round(total * (chunks / count)) if count else 0
