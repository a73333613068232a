"""Which documents a metadata filter allows: looked up once per state of the log, checked again when shown.

The view of metadata by column answers in about a millisecond for a million documents; where it cannot be
used, or cannot tell, the database answers, and says the same.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.collections import read_state
from indexing.columns.values import NotCovered
from indexing.errors import CorruptView
from indexing.search.filter_hints import asked_kinds, filter_hints
from indexing.search.filter_lookup import matching_keys
from indexing.search.filters import Node, parse_filter
from indexing.views.columns import ColumnView
from stlib.util.forks import ThreadLock

__all__ = ["Allowed", "AllowedCache", "key_table"]

logger = logging.getLogger(__name__)

CACHED_FILTERS = 64


@dataclass(frozen=True)
class _Looked:
    table: np.ndarray
    notes: list[str]


class AllowedCache:
    """Remembers what the last filters of one collection allowed."""

    def __init__(self, collection_id: int, columns: ColumnView) -> None:
        self._collection_id = collection_id
        self._columns = columns
        self._lock = ThreadLock()
        self._known: OrderedDict[tuple[str, int], _Looked] = OrderedDict()

    def of(self, filter: str | None) -> Allowed | None:
        """What `filter` allows; None if that is everything.

        Raises:
            FilterError: it cannot be understood.
        """
        node = parse_filter(filter) if filter else None
        return None if node is None or filter is None else Allowed(self, filter, node)

    def look_up(self, connection: Connection, filter: str, node: Node) -> tuple[int, _Looked]:
        """The state of the log and what the filter allows in it."""
        seq = self.seq(connection)
        with self._lock:
            looked = self._known.get((filter, seq))
        if looked is None:
            looked = self._by_column(connection, node) or self._by_sql(connection, node)
            with self._lock:
                self._known[filter, seq] = looked
                while len(self._known) > CACHED_FILTERS:
                    self._known.popitem(last=False)
        return seq, looked

    def _by_column(self, connection: Connection, node: Node) -> _Looked | None:
        """What the view says; None where it cannot."""
        try:
            reader = self._columns.reader(connection)
            if reader is None:
                return None
            table = reader.table(node)
            asked = {(field, kinds) for field, kinds, _ in asked_kinds(node)}
            sure = all(
                kinds & held if kinds else held for field, kinds in asked for held in [reader.kinds(field)]
            )
        except NotCovered:
            return None
        except CorruptView as error:
            logger.warning("asking the database instead: %s", error)
            self._columns.examine()
            return None
        return _Looked(table, [] if sure else filter_hints(connection, self._collection_id, node))

    def _by_sql(self, connection: Connection, node: Node) -> _Looked:
        keys = matching_keys(connection, self._collection_id, node)
        return _Looked(key_table(keys), filter_hints(connection, self._collection_id, node))

    def seq(self, connection: Connection) -> int:
        state = read_state(connection, self._collection_id)
        return -1 if state is None else state.last_seq

    def matching(self, connection: Connection, node: Node, among: list[int]) -> set[int]:
        return set(matching_keys(connection, self._collection_id, node, among).tolist())


class Allowed:
    """What one search may return. `table` is called first, then `still_matching` for what was found."""

    def __init__(self, cache: AllowedCache, filter: str, node: Node) -> None:
        self._cache = cache
        self._filter = filter
        self._node = node
        self._seq = -1
        self.notes: list[str] = []

    def table(self, connection: Connection) -> np.ndarray:
        """A boolean table over document keys."""
        self._seq, looked = self._cache.look_up(connection, self._filter, self._node)
        self.notes = looked.notes
        return looked.table

    def still_matching(self, connection: Connection, keys: list[int]) -> set[int]:
        """Those of `keys` that match what is shown of them: a document may have changed since."""
        if self._cache.seq(connection) == self._seq:
            return set(keys)
        return self._cache.matching(connection, self._node, keys)


def key_table(keys: np.ndarray) -> np.ndarray:
    """A boolean table that is true at `keys` (ascending) and ends with the last."""
    table = np.zeros(int(keys[-1]) + 1 if len(keys) else 0, dtype=bool)
    table[keys] = True
    return table
