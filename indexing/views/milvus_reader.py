"""Searching rows in Milvus, and what stands in for that where Milvus is away."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import NoReturn, Protocol

import numpy as np
from sqlalchemy import Connection

from indexing.errors import MilvusFailed, MilvusUnavailable
from indexing.quantization import Codec
from indexing.vectors.segment import Rows
from indexing.views.document_list import DocumentList
from indexing.views.vector_reader import Hits, VectorReader

__all__ = ["AWAY", "BEHIND", "AwayReader", "LocalView", "MilvusReader", "stand_in"]

AWAY = "Milvus is away: vectors are searched in files of this machine"
BEHIND = "rows are being brought to Milvus: vectors are searched in files of this machine"
"""Where Milvus is, and why it is away, is for the log: whoever may search is told no addresses."""


class LocalView(Protocol):
    """What of a `VectorView` is used."""

    def is_behind(self, *, by_much: bool) -> bool: ...

    def reader(self, connection: Connection, /) -> VectorReader: ...

    def publish(self) -> None: ...

    def renew(self) -> None: ...

    def examine(self) -> list[str]: ...

    def check(self) -> list[str]: ...

    def discard(self) -> None: ...


class MilvusReader(VectorReader):
    """Rows of Milvus and the newer ones. Milvus is asked by `search` alone: all else is read here."""

    local: Callable[[], VectorReader | None]
    """What finds the documents where Milvus is away; None where nothing does."""

    def follow(self, new: Rows, removed: np.ndarray, change: int) -> VectorReader:
        made = super().follow(new, removed, change)
        assert isinstance(made, MilvusReader)
        made.local = self.local
        return made

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Hits:
        try:
            return super().search(query, k, allowed)
        except MilvusFailed:
            other = self.local()
            if other is None:
                raise
            return replace(other.search(query, k, allowed), note=AWAY)


class AwayReader(VectorReader):
    """Of no rows: whoever asks it is told why."""

    away = True

    def __init__(self, codec: Codec, error: MilvusFailed) -> None:
        super().__init__(codec, [], DocumentList([]), Rows.joined([], codec), 0)
        self._error = error

    def ensure_whole(self) -> NoReturn:
        raise MilvusUnavailable(str(self._error))


def stand_in(reader: VectorReader, note: str = AWAY) -> VectorReader:
    """`reader`, as one that answers for Milvus and says so."""
    made = copy(reader)
    made.away, made.note = True, note
    return made
