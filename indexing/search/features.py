"""Plain features of documents that may decide beside the legs, and boosts that a person set by hand.

Each is about 0 to 1, and times its weight it is added to the fused score, in whose units 1 is one spread of a
leg over the collection.

* `title`: share of the question's content words whose stem the title has.
* `naming`: share of the title's content words whose stem the question has; 1 says that the title is asked
  for.
* `length`: log10 of the text's characters, less 3: 0 for a page of a thousand, -1 for a line of a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, func, select

from indexing.catalog.database import reading
from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.lexical.analysis import content_stems
from indexing.names import FEATURES
from indexing.search.settings import Boost

__all__ = ["Extras", "Features"]

LARGEST_TITLE = 1_000  # characters that are looked at


@dataclass(frozen=True)
class Extras:
    """What is added to fused scores beside the legs: features with a weight, and boosts.

    Attributes:
        allowed: the boolean table over document keys that a filter allows.
    """

    database: Engine
    query: str
    weights: Mapping[str, float]
    boosts: tuple[Boost, ...]
    allowed: Callable[[Connection, str], np.ndarray]

    def of(self, documents: np.ndarray) -> dict[str, np.ndarray]:
        """Name → what is added for each of `documents` (keys int64 [n]), float64 [n]."""
        wanted = [name for name in FEATURES if self.weights.get(name)]
        with reading(self.database) as connection:
            values = Features(connection, self.query).of(documents, wanted)
            rows = {name: self.weights[name] * values[name] for name in wanted}
            for number, boost in enumerate(self.boosts, start=1):
                rows[f"boost_{number}"] = boost.weight * _inside(
                    self.allowed(connection, boost.filter), documents
                )
        return rows


@dataclass(frozen=True)
class Features:
    """Features for one question, in one transaction."""

    connection: Connection
    query: str

    def of(self, documents: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        """Each of `names` for documents (keys int64 [n]): float64 [n]."""
        if not names:
            return {}
        asked = content_stems(self.query)
        titles, lengths = self._read(documents.tolist(), with_length="length" in names)
        stems = [content_stems(title) for title in titles]
        made = {
            "title": [_share(asked, of_title) for of_title in stems],
            "naming": [_share(of_title, asked) for of_title in stems],
            "length": [math.log10(length + 1) - 3 for length in lengths],
        }
        return {name: np.asarray(made[name], np.float64) for name in names}

    def _read(self, keys: list[int], *, with_length: bool) -> tuple[list[str], list[int]]:
        title = func.substr(DocumentRow.title, 1, LARGEST_TITLE)
        columns = [DocumentRow.key, title, *([func.length(DocumentRow.text)] if with_length else [])]
        found: dict[int, tuple[str, int]] = {}
        for part in slices(keys):
            for key, *rest in self.connection.execute(select(*columns).where(DocumentRow.key.in_(part))):
                found[key] = (rest[0], rest[1] if with_length else 0)
        rows = [found.get(key, ("", 0)) for key in keys]
        return [title for title, _ in rows], [length for _, length in rows]


def _share(words: frozenset[str], among: frozenset[str]) -> float:
    return len(words & among) / len(words) if words else 0.0


def _inside(table: np.ndarray, documents: np.ndarray) -> np.ndarray:
    inside = documents < len(table)
    found = np.zeros(len(documents))
    found[inside] = table[documents[inside]]
    return found
