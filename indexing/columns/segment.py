"""Columns of some documents in one file that never changes.

columns-<name>.bin   block file: `keys` int64 [n] of documents; `fields`, JSON as bytes; and for field number
                     i `i.codes` [n]: 0 where it is missing, 1 + a value's number, or the largest code where
                     it is a list; `i.list_rows`, `i.element_rows`, `i.elements` for lists; and the values,
                     see `indexing.columns.values`
"""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from indexing.columns.build import Column, Columns, StoredColumn
from indexing.columns.ranges import Ranges, merged, table_of
from indexing.columns.values import PARTS, Dictionary, NotCovered, pack
from indexing.errors import CorruptView
from indexing.search.filter_tree import And, Compare, Node, Or
from indexing.storage.blockfile import BlockFile, write_block_file
from indexing.storage.files import link_or_copy
from indexing.storage.published import open_block_file
from indexing.storage.segments import Sorted, find_rows, sort_with_order
from stlib.util.forks import cached_property

__all__ = ["ColumnReader", "ColumnSegment", "write_segment"]

_FEW_RANGES = 4  # more are looked up in a table of all values


class ColumnReader:
    """One field over the documents of a segment."""

    def __init__(self, file: BlockFile, prefix: str, count: int) -> None:
        self._file, self._prefix, self._count = file, prefix, count
        self.codes = self._array("codes", np.uint8)
        if len(self.codes) != count:
            raise CorruptView(f"{file.path} has columns of different lengths; rebuild the view")

    def _array(self, name: str, dtype: Any) -> np.ndarray:
        full = f"{self._prefix}{name}"
        return np.asarray(self._file[full]) if full in self._file else np.empty(0, dtype)

    @cached_property
    def dictionary(self) -> Dictionary:
        return Dictionary({n: self._array(n, np.int64) for n in PARTS if f"{self._prefix}{n}" in self._file})

    @cached_property
    def list_rows(self) -> np.ndarray:
        return self._array("list_rows", np.int64)

    @cached_property
    def element_rows(self) -> np.ndarray:
        return self._array("element_rows", np.int64)

    @cached_property
    def elements(self) -> np.ndarray:
        return self._array("elements", np.int64)

    def where(self, comparisons: list[Compare]) -> np.ndarray:
        """bool [n]: documents for which one of `comparisons` of this field holds. Not for `!=`.

        Raises:
            NotCovered: the column cannot tell.
        """
        ranges = merged([self.dictionary.find(c.operator, c.value) for c in comparisons])
        mask = self._in_ranges(self.codes, ranges, 1)
        if any(c.value is None for c in comparisons):
            mask |= self.codes == 0
        if len(self.elements):
            mask[self.element_rows[self._in_ranges(self.elements, ranges, 0)]] = True
        return mask

    def _in_ranges(self, codes: np.ndarray, ranges: Ranges, shift: int) -> np.ndarray:
        """Which of `codes`, numbers of values plus `shift`, lie in one of `ranges` of such numbers."""
        if len(ranges) > _FEW_RANGES:
            return table_of(ranges + shift, len(self.dictionary) + 2)[codes]
        mask = np.zeros(len(codes), dtype=bool)
        for low, high in ranges.tolist():
            least, most = codes.dtype.type(low + shift), codes.dtype.type(high + shift - 1)
            mask |= codes == least if least == most else (codes >= least) & (codes <= most)
        return mask

    def count(self, alive: np.ndarray | None) -> tuple[int, np.ndarray]:
        """How many documents (of those `alive`, a mask) have the field, and how often each value occurs,
        int64 by number; a list counts once per element.
        """
        codes = self.codes if alive is None else self.codes[alive]
        by_code = np.bincount(codes, minlength=len(self.dictionary) + 2)
        counts = by_code[1 : len(self.dictionary) + 1]
        if len(self.elements):
            kept = self.elements if alive is None else self.elements[alive[self.element_rows]]
            counts = counts + np.bincount(kept, minlength=len(self.dictionary))
        return len(codes) - int(by_code[0]), counts

    def kinds(self, alive: np.ndarray | None) -> set[str]:
        """The kinds of values that documents have, those of elements of lists too; "list" where some have a
        list, or an object.
        """
        _, counts = self.count(alive)
        rows = self.list_rows if alive is None else self.list_rows[alive[self.list_rows]]
        return self.dictionary.kinds(counts) | ({"list"} if len(rows) else set())

    def take(self, rows: np.ndarray) -> StoredColumn:
        """The column over these rows, which are numbered anew."""
        place = np.full(self._count, -1, np.int64)
        place[rows] = np.arange(len(rows))
        codes = self.codes[rows].astype(np.int64)
        size = len(self.dictionary)
        single = np.flatnonzero((codes > 0) & (codes <= size))
        element_rows = place[self.element_rows]
        kept = element_rows >= 0
        values, elements = codes[single] - 1, self.elements[kept]
        used = np.unique(np.concatenate([values, elements]))
        return StoredColumn(
            self.dictionary.keys(used),
            single,
            np.searchsorted(used, values),
            np.flatnonzero(codes > size),
            element_rows[kept],
            np.searchsorted(used, elements),
        )


class ColumnSegment:
    """Read side. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        keys: of the documents, int64 [n], mapped.
        fields: name → column, in the order in which fields first came.
        complete: whether every field of the documents has a column.
    """

    def __init__(self, folder: Path, entry: dict[str, Any], manifest: dict[str, Any]) -> None:
        self.name = int(entry["name"])
        self._folder, self._manifest = folder, manifest
        file = open_block_file(folder, file_name(self.name), manifest)
        self.ensure_whole, self.check_again = file.ensure_whole, file.check_again
        self.keys = np.asarray(file["keys"])
        if len(self.keys) != entry["rows"]:
            raise CorruptView(f"{file.path} holds other documents than its manifest says; rebuild the view")
        self.complete: bool = entry["complete"]
        names = json.loads(np.asarray(file["fields"]).tobytes())
        self._file = file
        self._numbers = {str(name): number for number, name in enumerate(names)}
        self._columns: dict[str, ColumnReader] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def entry(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"name": self.name, "rows": len(self), "complete": self.complete}

    @property
    def fields(self) -> list[str]:
        return list(self._numbers)

    def column(self, name: str) -> ColumnReader | None:
        """The column of a field; None if no document here has it.

        Raises:
            NotCovered: there may be documents that have it.
        """
        if name not in self._numbers:
            if not self.complete:
                raise NotCovered(name)
            return None
        if name not in self._columns:
            self._columns[name] = ColumnReader(self._file, f"{self._numbers[name]}.", len(self))
        return self._columns[name]

    def where(self, node: Node) -> np.ndarray:
        """bool [n]: documents that fulfil a filter.

        Raises:
            NotCovered: the columns cannot tell.
        """
        if isinstance(node, And):
            return np.logical_and.reduce([self.where(child) for child in node.nodes])
        if isinstance(node, Or):
            return np.logical_or.reduce([*self._any_equal(node), *map(self.where, _others(node))])
        if not isinstance(node, Compare):
            return ~self.where(node.node)
        if node.operator == "!=":
            return ~self._compare(node.field, [Compare(node.field, "=", node.value)])
        return self._compare(node.field, [node])

    def _any_equal(self, node: Or) -> list[np.ndarray]:
        by_field: dict[str, list[Compare]] = {}
        for child in node.nodes:
            if isinstance(child, Compare) and child.operator == "=":
                by_field.setdefault(child.field, []).append(child)
        return [self._compare(name, comparisons) for name, comparisons in by_field.items()]

    def _compare(self, field: str, comparisons: list[Compare]) -> np.ndarray:
        column = self.column(field)
        if column is None:
            return np.full(len(self), any(c.value is None for c in comparisons))
        return column.where(comparisons)

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        """The rows of those of `keys` (int64) that are here."""
        return find_rows(self._by_key, keys)

    @cached_property
    def _by_key(self) -> Sorted:
        return sort_with_order(self.keys)

    def add_to(self, columns: Columns, rows: np.ndarray) -> None:
        """Adds these rows; every block is checked again."""
        self.check_again()
        fields = {}
        for name in self.fields:
            column = self.column(name)
            assert column is not None
            fields[name] = column.take(rows)
        columns.extend(self.keys[rows], fields, self.complete)

    def moved_to(self, folder: Path, entry: dict[str, Any], manifest: dict[str, Any]) -> ColumnSegment | None:
        """The same segment in a later snapshot, with everything that was read and checked; None if that has
        another one under this name.
        """
        name = file_name(self.name)
        if entry != self.entry or manifest["files"].get(name) != self._manifest["files"].get(name):
            return None
        moved = copy(self)
        moved._folder, moved._manifest = folder, manifest
        return moved

    def link_into(self, folder: Path) -> None:
        """Gives an unpublished folder the same file; each block keeps its checksum."""
        link_or_copy([self._folder / file_name(self.name)], folder)


def _others(node: Or) -> list[Node]:
    return [child for child in node.nodes if not (isinstance(child, Compare) and child.operator == "=")]


def write_segment(folder: Path, name: int, columns: Columns) -> dict[str, Any]:
    """Writes `columns` into an unpublished folder; returns what the manifest says of the segment."""
    kept = {field: column for field, column in columns.fields.items() if column.rows or column.list_rows}
    arrays: dict[str, np.ndarray] = {
        "keys": np.asarray(columns.keys, np.int64),
        "fields": np.frombuffer(json.dumps(list(kept)).encode(), np.uint8),
    }
    for number, column in enumerate(kept.values()):
        for part, array in _arrays(column, len(columns)).items():
            arrays[f"{number}.{part}"] = array
    write_block_file(folder / file_name(name), arrays)
    return {"name": name, "rows": len(columns), "complete": columns.complete}


def _arrays(column: Column, count: int) -> dict[str, np.ndarray]:
    order, values = pack(list(column.numbers))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    codes: np.ndarray = np.zeros(count, _smallest(len(order) + 1))
    codes[np.asarray(column.list_rows, np.int64)] = len(order) + 1
    codes[np.asarray(column.rows, np.int64)] = place[np.asarray(column.values, np.int64)] + 1
    lists = {
        "list_rows": np.asarray(column.list_rows, np.int64),
        "element_rows": np.asarray(column.element_rows, np.int64),
        "elements": place[np.asarray(column.elements, np.int64)],
    }
    return {"codes": codes, **values, **{name: array for name, array in lists.items() if len(array)}}


def _smallest(most: int) -> Any:
    return np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32


def file_name(name: int) -> str:
    return f"columns-{name}.bin"
