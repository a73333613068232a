"""The rows of each output format, as columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stlib.errors import InvalidOption
from stlib.util.mining.mined import Mined
from stlib.util.mining.options import MiningOptions
from stlib.util.mining.pairs import Pairs

Columns = dict[str, list[Any]]


def check_columns(pairs: Pairs, options: MiningOptions) -> None:
    """Refuse a dataset whose columns have names of columns that are added.

    Raises:
        InvalidOption: says which one.
    """
    n_negatives, scores = options.num_negatives, options.output_scores
    added = {
        "triplet": ["negative", *(["scores"] if scores else [])],
        "n-tuple": [*(f"negative_{i + 1}" for i in range(n_negatives)), *(["scores"] if scores else [])],
        "labeled-pair": ["score" if scores else "label"],
        "labeled-list": ["scores" if scores else "labels"],
    }[options.output_format]
    for name in (pairs.anchor_column, pairs.positive_column):
        if name in added:
            raise InvalidOption(
                f"the dataset has a column {name!r}, and output_format={options.output_format!r} adds one of "
                "that name; rename it first, e.g. by dataset.rename_column"
            )


def columns_of(mined: Mined, options: MiningOptions) -> Columns:
    """The columns that ``output_format`` and ``output_scores`` ask for: anchors, positives, and the rest."""
    columns = _FORMATS[options.output_format](mined, options.output_scores)
    names = [mined.pairs.anchor_column, mined.pairs.positive_column, *list(columns)[2:]]
    return dict(zip(names, columns.values(), strict=True))


def features_of_nothing(columns: Columns, options: MiningOptions) -> Any:
    """The types of columns without rows, which their values do not tell: those that they have with rows. None
    if there are rows.
    """
    from datasets import Features, Value

    if next(iter(columns.values())):
        return None
    text, number = Value("string"), Value("float64" if options.output_scores else "int64")
    in_lists = options.output_format == "labeled-list"
    if options.output_format == "labeled-pair":
        last: Any = number
    else:
        last = [number] if in_lists or options.output_scores else text
    types = [text, [text] if in_lists else text, *[text] * (len(columns) - 3), last]
    return Features(zip(columns, types, strict=True))


def _triplets(mined: Mined, with_scores: bool) -> Columns:
    pairs, queries = mined.pairs, mined.pairs.query_of
    rows, places = mined.find_kept(complete=False).nonzero()
    negatives, scores = mined.negatives[queries[rows], places], mined.scores[queries[rows], places]
    columns = {
        "anchors": _texts(pairs.queries, queries[rows]),
        "answers": _texts(pairs.corpus, pairs.positives[rows]),
        "negative": _texts(pairs.corpus, negatives),
    }
    if with_scores:
        columns["scores"] = np.stack([mined.positive_scores[rows], scores], axis=1).tolist()
    return columns


def _tuples(mined: Mined, with_scores: bool) -> Columns:
    pairs = mined.pairs
    rows = np.flatnonzero(mined.find_kept(complete=True).all(axis=1))
    queries = pairs.query_of[rows]
    numbered = enumerate(mined.negatives[queries].T, 1)
    negatives = {f"negative_{i}": _texts(pairs.corpus, numbers) for i, numbers in numbered}
    columns = {
        "anchors": _texts(pairs.queries, queries),
        "answers": _texts(pairs.corpus, pairs.positives[rows]),
        **negatives,
    }
    if with_scores:
        columns["scores"] = np.column_stack([mined.positive_scores[rows], mined.scores[queries]]).tolist()
    return columns


def _label_pairs(mined: Mined, with_scores: bool) -> Columns:
    """The positives of a query, then its negatives."""
    pairs = mined.pairs
    rows, places = (mined.scores != -np.inf).nonzero()
    queries = np.concatenate([pairs.query_of, rows])
    order = np.argsort(queries, kind="stable")
    documents = np.concatenate([pairs.positives, mined.negatives[rows, places]])[order]
    columns = {
        "anchors": _texts(pairs.queries, queries[order]),
        "answers": _texts(pairs.corpus, documents),
    }
    if with_scores:
        columns["score"] = np.concatenate([mined.positive_scores, mined.scores[rows, places]])[order].tolist()
    else:
        columns["label"] = np.repeat([1, 0], [len(pairs.positives), len(rows)])[order].tolist()
    return columns


def _label_lists(mined: Mined, with_scores: bool) -> Columns:
    """For each positive with a negative: its text first, then those of the negatives."""
    pairs = mined.pairs
    kept = mined.find_kept(complete=False)
    rows = np.flatnonzero(kept.any(axis=1))
    queries, kept = pairs.query_of[rows], kept[rows]
    # The positive stands in a first column, so that a row of the matrix is a list of the result.
    there = np.column_stack([np.ones(len(rows), dtype=bool), kept])
    documents = np.column_stack([pairs.positives[rows], mined.negatives[queries]])
    lengths = there.sum(axis=1).tolist()
    columns = {
        "anchors": _texts(pairs.queries, queries),
        "answers": _split(_texts(pairs.corpus, documents[there]), lengths),
    }
    if with_scores:
        scores = np.column_stack([mined.positive_scores[rows], mined.scores[queries]])
        columns["scores"] = _split(scores[there].tolist(), lengths)
    else:
        columns["labels"] = [[1] + [0] * (length - 1) for length in lengths]
    return columns


_FORMATS: dict[str, Callable[[Mined, bool], Columns]] = {
    "triplet": _triplets,
    "n-tuple": _tuples,
    "labeled-pair": _label_pairs,
    "labeled-list": _label_lists,
}


def _texts(texts: list[Any], numbers: np.ndarray) -> list[Any]:
    return [texts[i] for i in numbers.tolist()]


def _split(values: Iterable[Any], lengths: list[int]) -> list[list[Any]]:
    remaining = iter(values)
    return [list(itertools.islice(remaining, length)) for length in lengths]
