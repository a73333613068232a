"""The documents of many segments, ascending and each once, without a list of all where none is needed.

Documents mostly come in ascending order and stay in the segment in which they were written: then a segment's
own column lists its documents, and all that is needed beside it is where it begins.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from indexing.storage.segments import sort_with_order

__all__ = ["DocumentList", "distinct_documents"]


class DocumentList:
    """Document keys, ascending, by place and by key."""

    def __init__(self, parts: Iterable[np.ndarray]) -> None:
        """`parts`: keys int64, each array ascending and without doubles."""
        self._parts = [part for part in parts if len(part)]
        if any(one[-1] >= other[0] for one, other in zip(self._parts, self._parts[1:], strict=False)):
            self._parts = [distinct_documents(np.concatenate(self._parts))]
        self._ends = np.cumsum([len(part) for part in self._parts], dtype=np.int64)
        self._lasts = np.asarray([part[-1] for part in self._parts], np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def places(self, keys: np.ndarray) -> np.ndarray:
        """How many documents come before each of `keys`, int64 [n]."""
        found = np.full(len(keys), len(self), np.int64)
        of_part = np.searchsorted(self._lasts, keys)
        for at in np.unique(of_part[of_part < len(self._parts)]).tolist():
            here = of_part == at
            found[here] = self._first(at) + np.searchsorted(self._parts[at], keys[here])
        return found

    def at(self, places: np.ndarray) -> np.ndarray:
        """The documents at `places` (int64 [n], below the length), int64 [n]."""
        found = np.empty(len(places), np.int64)
        of_part = np.searchsorted(self._ends, places, "right")
        for at in np.unique(of_part).tolist():
            here = of_part == at
            found[here] = self._parts[at][places[here] - self._first(at)]
        return found

    def contains(self, keys: np.ndarray) -> np.ndarray:
        """Which of `keys` are there, bool [n]."""
        places = self.places(keys)
        inside = places < len(self)
        inside[inside] = self.at(places[inside]) == keys[inside]
        return inside

    def _first(self, part: int) -> int:
        return int(self._ends[part]) - len(self._parts[part])


def distinct_documents(documents: np.ndarray) -> np.ndarray:
    """Distinct values, ascending: `documents` themselves where they are that."""
    if (documents[1:] > documents[:-1]).all():
        return documents
    _, ascending = sort_with_order(documents)
    return ascending[np.flatnonzero(np.diff(ascending, prepend=ascending[:1] - 1))]
