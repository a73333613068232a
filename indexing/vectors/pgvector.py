"""pgvector: a graph (HNSW) at a PostgreSQL server, beside the catalog that its rows come from.

Answers are approximate, scores are not: the graph lies over decoded codes in half precision, or over their
signs for the binary precisions, and what it proposes comes with its codes, which are scored as those of every
other engine. A filter goes along as one bit for each row; the server goes on looking until enough rows pass
it (iterative scans). Few allowed rows are scanned by their keys, exactly: the server leaves out what cannot
be among the best.

Rows are the chunks of a generation in the order of its changes. Their keys are held here, 8 bytes each.
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import Engine

from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.vectors.base import Candidates, Hits, QueryScore, VectorIndex, best
from indexing.vectors.codes import CodeArray
from indexing.vectors.fetched import FetchedCodes
from indexing.vectors.vector_table import AllowedKeys, Found, VectorTable, asking, check_limits
from stlib.util.forks import cached_property

__all__ = ["PgvectorIndex", "TableCodes"]

BINARY_OVERSAMPLING = 20
_LEAST = 100
_SURPLUS = 16  # beyond an eighth of what is wanted
_BINARY_LEAST = 400

# So much more a row costs that the graph looks at than one of a scan.
_SCAN_FACTOR = 12


class TableCodes(FetchedCodes):
    """Codes of chunks, fetched from the server when they are asked for."""

    def __init__(self, database: Engine, table: VectorTable, codec: Codec, keys: np.ndarray) -> None:
        """`keys`: int64 [n], distinct."""
        super().__init__(codec, keys)
        self.database, self.table = database, table

    def _fetch(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with asking(self.database) as connection:
            found = self.table.codes(connection, keys)
        return found.keys, found.codes

    def allowed_keys(self, allowed: np.ndarray) -> AllowedKeys:
        """For the server: the keys of the rows that the mask `allowed` [n] has."""
        return AllowedKeys.of(self._offsets, int(self.keys.min()), allowed)

    @cached_property
    def _offsets(self) -> np.ndarray:
        return self.keys - self.keys.min()


class PgvectorIndex(VectorIndex):
    """See the module. Holds nothing beside the keys."""

    engine = "pgvector"
    exact = False
    scan_rows = 2_000

    def __init__(self, codec: Codec, codes: TableCodes) -> None:
        super().__init__(codec, codes)
        self._rows = codes

    @classmethod
    def build(cls, codec: Codec, codes: CodeArray) -> PgvectorIndex:
        """Over rows that lie in a table already; its graph is made there."""
        assert isinstance(codes, TableCodes)
        return cls(codec, codes)

    @classmethod
    def check_limits(cls, precision: str, dimension: int) -> None:
        check_limits(precision, dimension)

    @classmethod
    def from_bytes(cls, data: bytes, codec: Codec, codes: CodeArray) -> PgvectorIndex:
        if data:
            raise CorruptView("a file of pgvector was found, which needs none; rebuild the view")
        return cls.build(codec, codes)

    def to_bytes(self) -> bytes:
        return b""

    def _append(self, codes: np.ndarray) -> None:
        raise TypeError("rows come into a table by its view, together with the number of their change")

    def _first_count(self, k: int) -> int:
        if self.codec.is_binary:
            return max(BINARY_OVERSAMPLING * k, _BINARY_LEAST)
        # Half precision orders rows well: what is looked for beyond them makes up for what the graph misses,
        # which is more the farther away it is.
        return max(_LEAST, 2 * k, 4 * k - 200)

    def _search_engine(
        self, score: QueryScore, wanted: int, count: int, allowed: np.ndarray | None, rows_allowed: int
    ) -> Hits | None:
        """Asks once: a server that found too few gave up, and would again. Rows that are gone since are
        missing, and `VectorReader` asks for more.
        """
        if 2 * count >= rows_allowed or rows_allowed**2 < _SCAN_FACTOR * count * len(self):
            return None
        fetched = count if self.codec.is_binary else wanted + wanted // 8 + _SURPLUS
        found = self._near(score, wanted, min(fetched, count), allowed)
        if found.rows < wanted:
            return None
        rows, codes = self._known(found, allowed)
        return best(rows, score.exact(codes), wanted)

    def _candidates(self, score: QueryScore, count: int, allowed: np.ndarray | None) -> Candidates:
        return Candidates(self._known(self._near(score, count, count, allowed), allowed)[0])

    def _near(self, score: QueryScore, wanted: int, fetched: int, allowed: np.ndarray | None) -> Found:
        """About `fetched` rows, which are to have the best `wanted` among them."""
        keys = None if allowed is None else self._rows.allowed_keys(allowed)
        share = 1.0 if allowed is None else float(allowed.mean())
        effort = self._first_count(int(wanted / share))
        with asking(self._rows.database) as connection:
            return self._rows.table.nearest(connection, score.query, effort, fetched, keys)

    def _scan(self, score: QueryScore, wanted: int, allowed: np.ndarray | None) -> Hits:
        keys = None if allowed is None else self._rows.keys[allowed]
        with asking(self._rows.database) as connection:
            found = self._rows.table.scan(connection, score.query, wanted, keys)
        rows, codes = self._known(found, allowed)
        return best(rows, score.exact(codes), wanted)

    def _known(self, found: Found, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Those rows that are here and allowed, with their codes: others came since the keys were read."""
        keys, first = np.unique(found.keys, return_index=True)
        rows = self._rows.rows_of(keys)
        at = np.searchsorted(keys, self._rows.keys[rows])
        if allowed is not None:
            kept = allowed[rows]
            rows, at = rows[kept], at[kept]
        return rows, found.codes[first[at]]
