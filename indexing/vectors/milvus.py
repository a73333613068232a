"""Milvus: an index at a server, or a cluster, of its own, beside whatever database the catalog lies in.

What Milvus proposes is scored here, by the codes in the catalog, as with every other engine. Where its rows
are searched without an index over float vectors, as in Milvus Lite, nothing is approximate and answers equal
those of a scan. Few allowed rows are scanned by their keys; of more, either the conditions go along, or so
much more is asked for that enough of it is allowed, whichever is less. Of a collection that is too large to
be scanned no more rows are found than Milvus gives at once: an answer that wants more is shorter.

Rows are the chunks of a generation in the order of its changes. Their keys are held here, 8 bytes each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sqlalchemy import Engine

from indexing.catalog.database import reading
from indexing.catalog.reads import codes_of_chunks, decode_rows
from indexing.errors import CorruptView
from indexing.milvus.client import Milvus
from indexing.milvus.conditions import Condition, of_chunks
from indexing.milvus.schema import Layout, check_limits
from indexing.quantization import Codec
from indexing.vectors.base import Candidates, Hits, QueryScore, VectorIndex, best
from indexing.vectors.codes import CodeArray
from indexing.vectors.fetched import FetchedCodes

__all__ = ["MilvusCodes", "MilvusIndex", "RowsInMilvus"]

MOST_SCANNED = 50_000
"""Rows whose codes a search reads from the catalog, by their keys: a second or two. Of more rows no more are
found than Milvus gives at once.
"""

BINARY_OVERSAMPLING = 20
_LEAST = 100
_BINARY_LEAST = 400

# Up to so many rows are asked for rather than that all keys of the allowed ones go along.
_FEW = 4_096
# Conditions that one search may send, each with as many keys as go along at once.
_MOST_CONDITIONS = 8
_ALL: list[Condition | None] = [None]
# Beyond what is needed on average, as rows that are allowed do not lie evenly.
_SURPLUS = 1.3


class RowsInMilvus(NamedTuple):
    """The collection `name`: all rows that were written up to the moment `written` of Milvus' clock count."""

    client: Milvus
    name: str
    layout: Layout
    written: int = 0


class MilvusCodes(FetchedCodes):
    """Codes of chunks in the catalog, whose vectors are `where`."""

    def __init__(self, database: Engine, where: RowsInMilvus, codec: Codec, keys: np.ndarray) -> None:
        """`keys`: int64 [n], distinct."""
        super().__init__(codec, keys)
        self.database, self.where = database, where

    def _fetch(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with reading(self.database) as connection:
            found = codes_of_chunks(connection, keys.tolist(), "")
        codes = decode_rows(b"".join(found.values()), len(found), self.codec)
        return np.fromiter(found, np.int64, len(found)), codes

    def nearest(self, query: np.ndarray, count: int, condition: Condition | None) -> tuple[np.ndarray, float]:
        """Rows that Milvus finds near `query`, and the score of the last: -inf where there were no more."""
        client, name, layout, written = self.where
        found = client.nearest(name, layout, query, count, condition, since=written)
        last = float(found.scores[-1]) if len(found.keys) >= count else -np.inf
        return self.rows_of(np.unique(found.keys)), last

    def condition(self, allowed: np.ndarray) -> Condition | None:
        """For the rows of the mask `allowed` [n]; None where it would be too long. Their own keys: to look
        for those of their documents takes seconds where there are tens of millions of rows.
        """
        few = np.count_nonzero(allowed) <= self.where.client.most_numbers
        return of_chunks(self.keys[allowed]) if few else None

    def conditions(self, allowed: np.ndarray) -> list[Condition | None] | None:
        """Several that name each of these rows in one of them; None where they would be too many."""
        most = self.where.client.most_numbers
        if np.count_nonzero(allowed) > _MOST_CONDITIONS * most:
            return None
        keys = self.keys[allowed]
        return [of_chunks(keys[at : at + most]) for at in range(0, len(keys), most)]


class MilvusIndex(VectorIndex):
    """See the module. Holds nothing beside the keys."""

    engine = "milvus"
    exact = False
    scan_rows = 2_000

    def __init__(self, codec: Codec, codes: MilvusCodes) -> None:
        super().__init__(codec, codes)
        self._rows = codes
        self.exact = codes.where.layout.exact

    @classmethod
    def build(cls, codec: Codec, codes: CodeArray) -> MilvusIndex:
        """Over rows that are in Milvus already."""
        assert isinstance(codes, MilvusCodes)
        return cls(codec, codes)

    @classmethod
    def check_limits(cls, precision: str, dimension: int) -> None:
        check_limits(precision, dimension)

    @classmethod
    def from_bytes(cls, data: bytes, codec: Codec, codes: CodeArray) -> MilvusIndex:
        if data:
            raise CorruptView("a file of milvus was found, which needs none; rebuild the view")
        return cls.build(codec, codes)

    def to_bytes(self) -> bytes:
        return b""

    def _append(self, codes: np.ndarray) -> None:
        raise TypeError("rows come into Milvus by their view, and then the number of their change")

    def _first_count(self, k: int) -> int:
        if self.codec.is_binary and not self.exact:
            return max(BINARY_OVERSAMPLING * k, _BINARY_LEAST)
        return max(_LEAST, 2 * k)

    def reach(self, rows_allowed: int) -> int:
        return rows_allowed if rows_allowed <= MOST_SCANNED else min(rows_allowed, self._most)

    @property
    def _most(self) -> int:
        """Rows that Milvus gives at once."""
        return self._rows.where.layout.most

    def _find(self, score: QueryScore, k: int, count: int, allowed: np.ndarray | None) -> tuple[Hits, float]:
        """Asked for more than Milvus gives at once, all that it gives: nothing is known of the rest."""
        if max(k, count) >= self._most and self._check_allowed(allowed)[1] > MOST_SCANNED:
            return self.search(score.query, k, allowed), -np.inf
        return super()._find(score, k, count, allowed)

    def _search_engine(
        self, score: QueryScore, wanted: int, count: int, allowed: np.ndarray | None, rows_allowed: int
    ) -> Hits | None:
        """Asks for more until the answer is safe. A scan, where so few rows are allowed, if more are wanted
        than Milvus gives at once; otherwise as many as it gives.
        """
        if rows_allowed <= MOST_SCANNED:
            if wanted > self._most:
                return None
            return super()._search_engine(score, wanted, count, allowed, rows_allowed)
        while True:
            count = min(count, self._most)
            rows, beyond = self._candidates(score, count, allowed)
            if allowed is not None:
                rows = rows[allowed[rows]]
            if len(rows) >= wanted or count == self._most:
                hits = best(rows, score.exact(self.codes.gather(rows)), min(wanted, self._most))
                safe = len(hits.rows) >= wanted and (not self.exact or hits.scores[-1] > beyond)
                if safe or count == self._most:
                    return hits
            count *= 4

    def _candidates(self, score: QueryScore, count: int, allowed: np.ndarray | None) -> Candidates:
        """About `count` rows, as far as Milvus gives as many at once."""
        asked, conditions = count, _ALL
        if allowed is not None:
            asked = int(np.ceil(_SURPLUS * count * len(self) / max(1, int(np.count_nonzero(allowed)))))
            if asked > _FEW and (along := self._conditions(asked, allowed)) is not None:
                asked, conditions = count, along
        asked = min(asked, self._most)
        found = [self._rows.nearest(score.query, asked, condition) for condition in conditions]
        rows = found[0][0] if len(found) == 1 else np.unique(np.concatenate([rows for rows, _ in found]))
        # What was not returned has at most the score of the last one, rounded here and there.
        last = max(last for _, last in found)
        return Candidates(rows, last + 2 * score.rounding if self.exact else np.inf)

    def _conditions(self, asked: int, allowed: np.ndarray) -> list[Condition | None] | None:
        """What goes along rather than that `asked` rows are asked for: several requests only where these are
        more than Milvus gives at once.
        """
        condition = self._rows.condition(allowed)
        if condition is not None:
            return [condition]
        return self._rows.conditions(allowed) if asked > self._most else None
