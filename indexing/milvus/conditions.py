"""Which rows a search in Milvus may return, as an expression of its own language.

Filters are decided here, not there: the columns view turns any filter into a mask of documents in under a
millisecond for a million of them, exactly, whatever the filter says of missing values, lists, dates and forms
of text. What goes to Milvus is the keys of the rows that pass, where those are few. Its own language compares
fields of a fixed type in its own way (no missing value equals another, text byte by byte): it would be a
second meaning of the same filter, and a copy of all metadata there.

Only whole numbers ever stand in an expression, so nothing that a person typed can change what it says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["KEY_FIELD", "MOST_LITERALS", "MOST_PARAMETERS", "PARAMETER", "Condition", "of_chunks"]

KEY_FIELD = "key"

MOST_LITERALS = 5_000
"""Numbers that an expression may spell out, as Milvus Lite wants it: it parses 16 microseconds at each."""
MOST_PARAMETERS = 200_000
"""Numbers that go along as the value of a template, as a cluster takes them: under a MiB of a request, which
is made in 40 ms.
"""

PARAMETER = "numbers"


class Condition(NamedTuple):
    """Rows whose key is one of `numbers` (int64 [n])."""

    numbers: np.ndarray

    def literal(self) -> str:
        """With all numbers spelt out."""
        return f"{KEY_FIELD} in [{','.join(map(str, self.numbers.tolist()))}]"

    def template(self) -> str:
        """With a place for the numbers, which go along as the parameter `PARAMETER`."""
        return f"{KEY_FIELD} in {{{PARAMETER}}}"


def of_chunks(keys: np.ndarray) -> Condition:
    """The rows `keys` (int64 [n])."""
    return Condition(np.unique(np.asarray(keys, np.int64)))
