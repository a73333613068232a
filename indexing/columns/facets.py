"""How often each value of each field occurs, over the segments of a snapshot and documents beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexing.columns.segment import ColumnReader
from indexing.columns.snapshot import ColumnSnapshot
from indexing.columns.values import Key, NotCovered, key_of
from indexing.normal_forms import normal_form
from indexing.search.filter_dates import instant_of, year_of

__all__ = ["FieldCounts", "add_documents", "add_snapshot", "count_values"]


# Of a field with more values than are counted, so many of a segment are looked at: it is no choice any more.
_FEW = 500


@dataclass
class FieldCounts:
    """Of one field: documents that have it, values (not null) in them, how often each value occurs, and how
    often a date of each year. `complete` is False where there are more values than were counted, `distinct`
    at the least.
    """

    documents: int = 0
    values: int = 0
    distinct: int = 0
    complete: bool = True
    counts: Counter[Key] = field(default_factory=Counter)
    years: Counter[int] = field(default_factory=Counter)

    def add(self, value: Any, most: int) -> None:
        """One document more; of new values no more than `most` altogether."""
        self.documents += 1
        for element in value if isinstance(value, list) else [value]:
            key = key_of(element)
            if key is None or key[0] == "null":
                continue
            self.values += 1
            if key in self.counts or len(self.counts) < most:
                self.counts[key] += 1
            else:
                self.complete = False
            if key[0] == "text" and (moment := instant_of(normal_form(key[1]))) is not None:
                self.years[year_of(moment)] += 1

    def add_column(self, column: ColumnReader, alive: np.ndarray | None, most: int) -> None:
        """The documents of a segment; of very many values only the most frequent ones are looked at."""
        documents, counts = column.count(alive)
        self.documents += documents
        self.years.update(column.dictionary.years(counts))
        numbers = np.flatnonzero(counts)
        self.values += int(counts.sum()) - column.dictionary.nulls(counts)
        if len(numbers) > most:
            self.complete, self.distinct = False, most
            few = min(_FEW, most)
            numbers = np.sort(numbers[np.argpartition(-counts[numbers], few)[: few + 1]])
        for key, count in zip(column.dictionary.keys(numbers), counts[numbers].tolist(), strict=True):
            if key[0] != "null":
                self.counts[key] += count

    def cut(self, most: int) -> None:
        """Forgets all but the `most` frequent values."""
        if len(self.counts) > most:
            self.complete, self.distinct = False, most
            self.counts = Counter(dict(self.counts.most_common(most)))
        self.distinct = max(self.distinct, len(self.counts))


def count_values(
    snapshot: ColumnSnapshot | None,
    changed: np.ndarray,
    newer: Iterable[Mapping[str, Any]],
    most_values: int,
    most_fields: int,
) -> dict[str, FieldCounts]:
    """Counts by field. `changed`: keys of documents of which the snapshot knows nothing, or an old version;
    `newer`: the metadata of those that are still there, flat.

    Raises:
        NotCovered: a field has no column.
    """
    fields: dict[str, FieldCounts] = {}
    if snapshot is not None:
        add_snapshot(fields, snapshot, changed, most_values, most_fields)
    add_documents(fields, newer, most_values, most_fields)
    for counts in fields.values():
        counts.cut(most_values)
    return fields


def add_snapshot(
    fields: dict[str, FieldCounts],
    snapshot: ColumnSnapshot,
    changed: np.ndarray,
    most_values: int,
    most_fields: int,
) -> None:
    """Adds the documents of a snapshot, but for those that `changed` since.

    Raises:
        NotCovered: a field has no column.
    """
    for at, segment in enumerate(snapshot.segments):
        alive = snapshot.alive(at, changed)
        for name in segment.fields:
            column = segment.column(name)
            if column is not None and (name in fields or len(fields) < most_fields):
                fields.setdefault(name, FieldCounts()).add_column(column, alive, most_values)
        if not segment.complete and len(fields) < most_fields:
            raise NotCovered("some fields")


def add_documents(
    fields: dict[str, FieldCounts],
    documents: Iterable[Mapping[str, Any]],
    most_values: int,
    most_fields: int,
) -> None:
    """Adds documents, of which their metadata is given, flat."""
    for metadata in documents:
        for name, value in metadata.items():
            if name in fields or len(fields) < most_fields:
                fields.setdefault(name, FieldCounts()).add(value, most_values)
