"""Columns in memory: made of documents one by one, or of columns that are stored."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexing.columns.values import Key, key_of
from indexing.search.filter_values import flat

__all__ = ["MAX_FIELDS", "Column", "Columns", "StoredColumn"]

# Fields of documents that give every field a name of its own are beyond any filter or facet.
MAX_FIELDS = 1_000


@dataclass
class Column:
    """One field. `numbers` of values by key; (row, number) of each single value in `rows` and `values`; rows
    that hold a list in `list_rows`, and (row, number) of each element in `element_rows` and `elements`.
    """

    numbers: dict[Key, int] = field(default_factory=dict)
    rows: array[int] = field(default_factory=lambda: array("q"))
    values: array[int] = field(default_factory=lambda: array("q"))
    list_rows: array[int] = field(default_factory=lambda: array("q"))
    element_rows: array[int] = field(default_factory=lambda: array("q"))
    elements: array[int] = field(default_factory=lambda: array("q"))

    def number(self, key: Key) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    def add(self, row: int, value: Any) -> None:
        key = None if isinstance(value, list) else key_of(value)
        if key is not None:
            self.rows.append(row)
            self.values.append(self.number(key))
            return
        self.list_rows.append(row)  # also what is no value at all: it is there, and equals nothing
        for element in value if isinstance(value, list) else []:
            if (key := key_of(element)) is not None:
                self.element_rows.append(row)
                self.elements.append(self.number(key))


@dataclass
class Columns:
    """Columns of some documents, in the order in which they were added. `complete`: no field was left out."""

    keys: array[int] = field(default_factory=lambda: array("q"))
    fields: dict[str, Column] = field(default_factory=dict)
    complete: bool = True

    def __len__(self) -> int:
        return len(self.keys)

    def column(self, name: str) -> Column | None:
        """The column of a field, made if there is room for one more."""
        column = self.fields.get(name)
        if column is None and len(self.fields) < MAX_FIELDS:
            column = self.fields[name] = Column()
        if column is None:
            self.complete = False
        return column

    def add(self, key: int, metadata: Mapping[str, Any]) -> None:
        """One more document."""
        row = len(self.keys)
        self.keys.append(key)
        for name, value in flat(metadata).items():
            if (column := self.column(name)) is not None:
                column.add(row, value)

    def extend(self, keys: np.ndarray, fields: Mapping[str, StoredColumn], complete: bool) -> None:
        """More documents, from columns over them."""
        first = len(self.keys)
        self.keys.extend(keys.tolist())
        self.complete &= complete
        for name, stored in fields.items():
            if (column := self.column(name)) is None:
                continue
            numbers = np.asarray([column.number(key) for key in stored.keys] or [0], np.int64)
            _extend(column.rows, stored.rows + first)
            _extend(column.values, numbers[stored.values])
            _extend(column.list_rows, stored.list_rows + first)
            _extend(column.element_rows, stored.element_rows + first)
            _extend(column.elements, numbers[stored.elements])

    def stored(self) -> dict[str, StoredColumn]:
        """The columns as `extend` takes them."""
        return {
            name: StoredColumn(
                list(column.numbers),
                *(
                    np.asarray(part, np.int64)
                    for part in (
                        column.rows,
                        column.values,
                        column.list_rows,
                        column.element_rows,
                        column.elements,
                    )
                ),
            )
            for name, column in self.fields.items()
        }


@dataclass(frozen=True)
class StoredColumn:
    """A column as `Columns.extend` takes it: like `Column`, `keys` being the values by number."""

    keys: Sequence[Key]
    rows: np.ndarray
    values: np.ndarray
    list_rows: np.ndarray
    element_rows: np.ndarray
    elements: np.ndarray


def _extend(target: array[int], values: np.ndarray) -> None:
    target.frombytes(np.ascontiguousarray(values, np.int64).tobytes())
