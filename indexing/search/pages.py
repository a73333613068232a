"""Later pages of an answer: what came in since the one before is left out, so that it pushes nothing down."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Connection, func, select

from indexing.catalog.schema import DocumentRow

__all__ = ["change_note", "exclude_newer"]


def exclude_newer(
    connection: Connection, collection_id: int, seq: int, allowed: np.ndarray | None
) -> np.ndarray:
    """`allowed`, a boolean table over document keys (None: all of them), without the documents that were
    added or changed after `seq`.
    """
    changed = select(DocumentRow.key).where(DocumentRow.collection_id == collection_id, DocumentRow.seq > seq)
    newer = np.asarray(connection.scalars(changed).all(), dtype=np.int64)
    if allowed is None:
        largest = connection.scalar(select(func.max(DocumentRow.key))) or 0  # of any collection: at once
        allowed = np.ones(largest + 1, dtype=bool)
    kept = allowed.copy()  # others share the table
    kept[newer[newer < len(kept)]] = False
    return kept


def change_note(seq: int, now: int) -> str:
    """What a person should know of a page that is made at `now`, after one that was made at `seq`."""
    return (
        f"the collection changed since the page before (seq {seq}, now {now}): what is new or was changed is "
        "left out, and what was deleted may have moved others; search without seq and offset to begin anew"
    )
