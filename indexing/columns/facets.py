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

__all__ = ["FieldCounts", "count_values"]


@dataclass
class FieldCounts:
    """Of one field: documents that have it, and how often each value (not null) occurs; `complete` is False
    where there are more values than were counted.
    """

    documents: int = 0
    complete: bool = True
    counts: Counter[Key] = field(default_factory=Counter)

    def add(self, value: Any, most: int) -> None:
        """One document more; of new values no more than `most` altogether."""
        self.documents += 1
        for element in value if isinstance(value, list) else [value]:
            key = key_of(element)
            if key is None or key[0] == "null":
                continue
            if key in self.counts or len(self.counts) < most:
                self.counts[key] += 1
            else:
                self.complete = False

    def add_column(self, column: ColumnReader, alive: np.ndarray | None, most: int) -> None:
        """The documents of a segment; of very many values only the most frequent ones are looked at."""
        documents, counts = column.count(alive)
        self.documents += documents
        numbers = np.flatnonzero(counts)
        if len(numbers) > most:
            self.complete = False
            numbers = np.sort(numbers[np.argsort(-counts[numbers], kind="stable")[: most + 1]])
        for key, count in zip(column.dictionary.keys(numbers), counts[numbers].tolist(), strict=True):
            if key[0] != "null":
                self.counts[key] += count

    def cut(self, most: int) -> None:
        """Forgets all but the `most` frequent values."""
        if len(self.counts) > most:
            self.complete = False
            self.counts = Counter(dict(self.counts.most_common(most)))


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
    for at, segment in enumerate([] if snapshot is None else snapshot.segments):
        assert snapshot is not None
        alive = snapshot.alive(at, changed)
        for name in segment.fields:
            column = segment.column(name)
            if column is not None and (name in fields or len(fields) < most_fields):
                fields.setdefault(name, FieldCounts()).add_column(column, alive, most_values)
        if not segment.complete and len(fields) < most_fields:
            raise NotCovered("some fields")
    for metadata in newer:
        for name, value in metadata.items():
            if name in fields or len(fields) < most_fields:
                fields.setdefault(name, FieldCounts()).add(value, most_values)
    for counts in fields.values():
        counts.cut(most_values)
    return fields
