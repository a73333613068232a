"""Searching rows in Milvus, and what stands in for that where Milvus is away."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from indexing.errors import MilvusUnavailable
from indexing.quantization import Codec
from indexing.vectors.segment import Rows
from indexing.views.vector_reader import VectorReader

__all__ = ["AwayReader", "MilvusReader"]


class MilvusReader(VectorReader):
    """Rows of Milvus and the newer ones."""


class AwayReader(VectorReader):
    """Of no rows: whoever asks it is told why."""

    away = True

    def __init__(self, codec: Codec, error: MilvusUnavailable) -> None:
        super().__init__(codec, [], np.empty(0, np.int64), Rows.joined([], codec), 0)
        self._error = error

    def ensure_whole(self) -> NoReturn:
        raise MilvusUnavailable(str(self._error))
