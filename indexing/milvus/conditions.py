"""Which rows a search in Milvus may return, as an expression of its own language.

Filters are decided here, not there: the columns view turns any filter into a mask of documents in under a
millisecond for a million of them, exactly, whatever the filter says of missing values, lists, dates and forms
of text. What goes to Milvus is the numbers of documents that pass, or of those that do not where they are
fewer. Its own language compares fields of a fixed type in its own way (no missing value equals another, text
byte by byte, no dates before 2.6): a second meaning of the same filter, and a copy of all metadata there.

Only whole numbers ever stand in an expression, so nothing that a person typed can change what it says.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["MOST_LITERALS", "MOST_PARAMETERS", "Condition", "of_chunks", "of_documents", "shortest"]

MOST_LITERALS = 5_000
"""Numbers that an expression may spell out, as Milvus Lite wants it: it parses 16 microseconds at each."""
MOST_PARAMETERS = 200_000
"""Numbers that go along as the value of a template, as a cluster takes them: 1.6 MB of a request at most."""

DOCUMENT_FIELD, KEY_FIELD = "document_key", "key"
_NAME = "numbers"
# Numbers of the range for each row, at a byte each, that a table may have.
_MOST_SPREAD = 32


class Condition(NamedTuple):
    """Rows whose `field` is one of `numbers` (int64 [n]), or none of them where they are `excluded`."""

    field: str
    numbers: np.ndarray
    excluded: bool = False

    def literal(self) -> str:
        """With all numbers spelt out."""
        listed = ",".join(map(str, self.numbers.tolist()))
        return f"{self.field} {self._operator} [{listed}]"

    def template(self) -> str:
        """With a place for the numbers, which go along as the parameter `parameter`."""
        return f"{self.field} {self._operator} {{{_NAME}}}"

    @property
    def parameter(self) -> str:
        return _NAME

    @property
    def _operator(self) -> str:
        return "not in" if self.excluded else "in"


def of_documents(keys: np.ndarray) -> Condition:
    """Rows of the documents `keys` (int64 [n])."""
    return Condition(DOCUMENT_FIELD, np.unique(np.asarray(keys, np.int64)))


def of_chunks(keys: np.ndarray) -> Condition:
    """The rows `keys` (int64 [n])."""
    return Condition(KEY_FIELD, np.unique(np.asarray(keys, np.int64)))


def shortest(documents: np.ndarray, allowed: np.ndarray, most: int) -> Condition | None:
    """That which lets the rows of the mask `allowed` [n] pass, whose documents are `documents` (int64 [n]).

    Rows are let pass by their documents: one that is not allowed beside one that is comes back too, and has
    to be left out of the answer. None where more than `most` numbers would have to be named.
    """
    inside, outside = _part(documents, allowed)
    if min(len(inside), len(outside)) > most:
        return None
    if len(inside) <= len(outside):
        return Condition(DOCUMENT_FIELD, inside)
    return Condition(DOCUMENT_FIELD, outside, excluded=True)


def _part(documents: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those with a row that is allowed, and the others, ascending; by a table where they lie close together,
    which takes some milliseconds for a million where sorting takes a second.
    """
    first = int(documents.min(initial=0))
    length = int(documents.max(initial=0)) - first + 1
    if length > _MOST_SPREAD * len(documents) + 1:
        inside = np.unique(documents[allowed])
        return inside, np.setdiff1d(documents[~allowed], inside)
    there, passing = np.zeros(length, bool), np.zeros(length, bool)
    there[documents - first] = True
    passing[documents[allowed] - first] = True
    return np.flatnonzero(passing) + first, np.flatnonzero(there & ~passing) + first
