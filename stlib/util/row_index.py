"""Which row an identifier is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# numpy gives every text the room of the longest one; beyond this a dict is smaller
_MAX_ITEM_BYTES = 128


class RowIndex:
    """Rows by identifier, the last one where an identifier comes twice.

    Numbers and short texts are kept as sorted arrays: a fraction of a dict's memory, and quick to pickle for
    the processes of a data loader.

    Args:
        ids: the identifier of each row; anything hashable.
    """

    def __init__(self, ids: list[Any]) -> None:
        self._keys: np.ndarray | None = None
        self._rows: Any
        keys = np.asarray(ids) if _one_kind(ids) else None
        if keys is None or keys.dtype.kind not in "ifU" or keys.itemsize > _MAX_ITEM_BYTES:
            self._rows = {value: row for row, value in enumerate(ids)}
            return
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        last = np.append(ordered[1:] != ordered[:-1], True)
        self._keys, self._rows = ordered[last], order[last]

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, ids: Sequence[Any]) -> list[int]:
        """The row of each identifier.

        Raises:
            KeyError: an identifier is unknown; its argument is the identifier.
        """
        if self._keys is None:
            return [self._rows[value] for value in ids]
        wanted = np.asarray(ids) if _one_kind(ids) else None
        if wanted is None or wanted.ndim != 1 or wanted.dtype.kind != self._keys.dtype.kind:
            raise KeyError(ids[0])
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        unknown = np.flatnonzero(self._keys[places] != wanted)
        if len(unknown):
            raise KeyError(ids[unknown[0]])
        return self._rows[places].tolist()


def _one_kind(ids: Sequence[Any]) -> bool:
    kinds = {type(value) for value in ids}
    if kinds == {str}:
        # numpy takes zeros at the end of a text for filling
        return not any("\0" in value for value in ids)
    return kinds in ({int}, {float})
