"""How far rows in Milvus have followed, whether they are of this catalog at all, and what of them differs."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.following import removals_after
from indexing.catalog.generations import read_generation
from indexing.catalog.reads import codes_of_chunks, decode_rows
from indexing.errors import CorruptView
from indexing.milvus.client import Milvus
from indexing.milvus.marker import Followed, digest_of, number_of
from indexing.milvus.schema import Layout
from indexing.views.base import can_go_on

__all__ = ["State", "is_foreign", "same_vectors", "state_of"]


class State(NamedTuple):
    """The rows of the collection `name` in Milvus have `followed` the log; they were `written` at this moment
    of Milvus' clock.
    """

    name: str
    followed: Followed
    written: int = 0

    @property
    def number(self) -> int:
        return number_of(self.name)

    @property
    def change(self) -> int:
        return self.followed.change

    def can_go_on(self, purged: int) -> bool:
        return can_go_on(self.change, {"purged": self.followed.purged}, purged)


def state_of(client: Milvus, name: str, made_of: str) -> State | None:
    """None where the collection is gone, half made, or of something else."""
    with suppress(CorruptView):
        marker = client.read_marker(name)
        followed = None if marker is None else Followed.from_json(marker.text)
        if marker is not None and followed is not None and followed.made_of == made_of:
            return State(name, followed, marker.written)
    return None


def is_foreign(connection: Connection, generation_id: int, state: State) -> bool:
    """Whether these rows are of another log than this: one that the catalog had before it was replaced by
    an older copy, or that of a copy which has the same Milvus.
    """
    generation = read_generation(connection, generation_id)
    if generation is None:
        return False
    if state.change > generation.last_change:
        return True
    if state.change < generation.purged_change:  # what was removed since is not said any more
        return False
    tip = state.followed.tip
    found = codes_of_chunks(connection, [*tip, *state.followed.gone], "")
    if any(key in found for key in state.followed.gone):
        return True
    gone = set(removals_after(connection, generation_id, state.change, 2**62).tolist())
    known = {key: digest_of(code) for key, code in found.items()}
    return any(known.get(key) != digest for key, digest in tip.items() if key not in gone)


def same_vectors(connection: Connection, client: Milvus, name: str, layout: Layout, keys: np.ndarray) -> bool:
    codes = codes_of_chunks(connection, keys.tolist(), "")
    wanted = decode_rows(b"".join(codes.values()), len(codes), layout.codec)
    found, vectors = client.vectors(name, layout, keys)
    order = np.argsort(np.fromiter(codes, np.int64, len(codes)))
    theirs = np.argsort(found)
    return np.array_equal(layout.values(wanted)[order], vectors[theirs])
