"""Codes of chunks that are fetched from a database by key: what the rows of a server's view are scored by."""

from __future__ import annotations

import numpy as np

from indexing.quantization import Codec
from indexing.storage.segments import Sorted, find_rows, sort_with_order
from stlib.util.forks import cached_property

__all__ = ["FetchedCodes"]


class FetchedCodes:
    """Rows are those of `keys`, which are held here, 8 bytes each. A subclass knows where the codes are."""

    ndim = 2

    def __init__(self, codec: Codec, keys: np.ndarray) -> None:
        """`keys`: int64 [n], distinct."""
        self.codec, self.keys = codec, keys
        self.dtype = codec.dtype
        self.shape = (len(keys), codec.dimension)
        self._nothing = codec.encode(np.zeros((1, codec.dimension), np.float32)).codes

    def _fetch(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of `keys` that are there, int64 [m], and their codes [m, d], in no order."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Of one that is gone, as the collection was changed meanwhile, a code similar to nothing: its
        document is looked at again before it is shown.
        """
        keys = self.keys[rows]
        found, theirs = self._fetch(keys)
        codes = np.tile(self._nothing, (len(keys), 1))
        if len(found):
            order = np.argsort(found)
            at = order[np.minimum(np.searchsorted(found, keys, sorter=order), len(order) - 1)]
            there = found[at] == keys
            codes[there] = theirs[at[there]]
        return codes

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """The rows of those of `keys` (int64) that are here, ascending by key."""
        return find_rows(self._by_key, keys)

    @cached_property
    def _by_key(self) -> Sorted:
        return sort_with_order(self.keys)
