"""The dataset as numbered queries, documents and positives."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stlib.errors import InvalidInput, InvalidOption


@dataclass(frozen=True)
class Pairs:
    """Every text once, and which document answers which query.

    ``positives[starts[q]:starts[q + 1]]`` are the positions in ``corpus`` of the positives of query ``q``,
    each once.
    """

    anchor_column: str
    positive_column: str
    queries: list[Any]
    corpus: list[Any]
    positives: np.ndarray
    starts: np.ndarray
    same: np.ndarray
    """``[queries]``: the position in ``corpus`` of the text of the query itself; -1 if it is not there."""
    most_positives: int
    """Rows of the dataset, repeated ones counted, of the query that has most of them."""

    @property
    def counts(self) -> np.ndarray:
        """Positives of each query, ``[queries]``."""
        return np.diff(self.starts)

    @property
    def query_of(self) -> np.ndarray:
        """The query of each positive, ``[positives]``."""
        return np.repeat(np.arange(len(self.queries)), self.counts)


def read_pairs(
    dataset: Any, anchor_column: str | None, positive_column: str | None, corpus: Sequence[Any] | None
) -> Pairs:
    """Number the texts of a dataset.

    Rows with the same anchor are several positives of one query. The positives are documents too, after those
    of ``corpus``.

    Raises:
        InvalidInput: the dataset is not a table, is empty, or misses a value.
        InvalidOption: a column is not there, or both are the same.
    """
    anchor_column, positive_column = _columns(dataset, anchor_column, positive_column)
    anchors, answers = _values(dataset, anchor_column), _values(dataset, positive_column)
    queries = _number(anchors)
    documents = _number(itertools.chain(corpus or (), answers))
    rows = np.array([queries[anchor] for anchor in anchors])
    each_once = dict.fromkeys(zip(rows.tolist(), (documents[answer] for answer in answers), strict=True))
    of_query, positives = np.array(list(each_once)).T
    order = np.argsort(of_query, kind="stable")
    return Pairs(
        anchor_column=anchor_column,
        positive_column=positive_column,
        queries=list(queries),
        corpus=list(documents),
        positives=positives[order],
        starts=np.searchsorted(of_query[order], np.arange(len(queries) + 1)),
        same=np.array([documents.get(query, -1) for query in queries]),
        most_positives=int(np.bincount(rows).max()),
    )


def _columns(dataset: Any, anchor: str | None, positive: str | None) -> tuple[str, str]:
    names = getattr(dataset, "column_names", None)
    if not isinstance(names, list) or not hasattr(dataset, "__len__"):
        raise InvalidInput(
            f"dataset is a {type(dataset).__name__}; pass one datasets.Dataset with a column of anchors and "
            "a column of positives, e.g. one split of a DatasetDict"
        )
    if not len(dataset):
        raise InvalidInput("the dataset is empty; pass at least one pair of anchor and positive")
    for option, name in (("anchor_column_name", anchor), ("positive_column_name", positive)):
        if name and name not in names:
            raise InvalidOption(f"{option} is {name!r}; the dataset has the columns {', '.join(names)}")
    if len(names) < 2 and not (anchor and positive):
        raise InvalidInput(f"the dataset has the column {names[0]!r} only; there must be two")
    anchor, positive = anchor or names[0], positive or names[1]
    if anchor == positive:
        raise InvalidOption(
            f"anchors and positives are both read from {anchor!r}; pass anchor_column_name and "
            "positive_column_name"
        )
    return anchor, positive


def _values(dataset: Any, name: str) -> list[Any]:
    column = dataset.with_format(None)[name]
    # Newer versions of datasets read a column row by row unless it is sliced.
    values = list(column[:])
    missing = next((i for i, value in enumerate(values) if value is None), None)
    if missing is not None:
        raise InvalidInput(f"row {missing} has nothing in column {name!r}; complete the row or remove it")
    return values


def _number(values: Any) -> dict[Any, int]:
    try:
        return {value: i for i, value in enumerate(dict.fromkeys(values))}
    except TypeError as error:
        raise InvalidInput(
            f"anchors, positives and corpus must hold texts or other hashable values: {error}"
        ) from error
