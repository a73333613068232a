"""What the columns of a data set hold."""

from __future__ import annotations

import itertools
from typing import Any

# Rows that are looked at where a data set has a transform, whose result no schema describes.
_LOOKED_AT = 2

NUMBERS = "holds numbers"
"""The problem of a column of numbers among the inputs."""


class ColumnKinds:
    """What a data set's columns hold, by its schema; where a transform hides that, by its first rows."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        transformed = hasattr(dataset, "format") and dataset.format["type"] == "custom"
        self._rows = list(itertools.islice(iter(dataset), _LOOKED_AT)) if transformed else None
        self.columns = list(dataset.column_names or []) if self._rows is None else list(self._rows[0])

    def problem(self, column: str, as_label: bool = False) -> str | None:
        """Why a column cannot be an input (or the label), as words that follow its name; None if it can."""
        if self._rows is not None:
            values = [row.get(column) for row in self._rows]
            if any(value is None for value in values):
                return "has rows without a value"
            is_number = all(isinstance(value, (int, float)) for value in values)
            is_text = all(isinstance(value, str) for value in values)
        else:
            if missing := self._missing(column):
                return f"has {missing} rows without a value (None)"
            kind = getattr((self.dataset.features or {}).get(column), "dtype", "")
            if kind == "null":
                return "has no values"
            is_number = str(kind).startswith(("int", "uint", "float", "double", "bool", "decimal"))
            is_text = "string" in str(kind)
        if as_label:
            return "holds texts" if is_text else self._not_numbers(column)
        return NUMBERS if is_number else None

    def _not_numbers(self, column: str) -> str | None:
        """Whether a column of labels, or of lists of them, holds what is no number and would reach all
        weights.
        """
        values = self._read_stored(column)
        # Selecting rows copies them, which is not needed where all stored ones are numbers.
        if values is None or _not_numbers(values) is None:
            return None
        return _not_numbers(self._select_rows(values))

    def bounds(self, column: str, ignored: int | None = None) -> tuple[float, float] | None:
        """The least and the greatest number in a column or its lists, ``ignored`` left out; None for streams,
        transforms and columns without a number.
        """
        values = None if self._rows is not None else self._read_stored(column)
        if values is None:
            return None
        import pyarrow
        from pyarrow import compute

        values = _flat(self._select_rows(values))
        if not (pyarrow.types.is_integer(values.type) or pyarrow.types.is_floating(values.type)):
            return None
        if ignored is not None:
            values = values.filter(compute.not_equal(values, ignored))
        found = compute.min_max(values).as_py()
        return None if found["min"] is None else (found["min"], found["max"])

    def _missing(self, column: str) -> int:
        """Rows without a value. Arrow counts them with its data, which may hold rows that were filtered out
        since.
        """
        values = self._read_stored(column)
        # Selecting rows copies them, which is not needed where no stored one is missing.
        return self._select_rows(values).null_count if values is not None and values.null_count else 0

    def _read_stored(self, column: str) -> Any:
        """A column as Arrow holds it, with rows that are not selected; None for streams."""
        table = getattr(self.dataset, "data", None)
        return None if table is None or column not in table.column_names else table.column(column)

    def _select_rows(self, values: Any) -> Any:
        indices = getattr(self.dataset, "_indices", None)
        return values if indices is None else values.take(indices.column(0))


def _not_numbers(values: Any) -> str | None:
    """What is wrong with the numbers of a column ``values``, as words that follow its name."""
    import pyarrow
    from pyarrow import compute

    total = missing = wrong = 0
    # One chunk after the other, as a column of embeddings may be larger than the memory.
    for chunk in values.chunks:
        numbers = _flat(chunk)
        total += len(numbers)
        missing += numbers.null_count
        if pyarrow.types.is_floating(numbers.type):
            finite = compute.sum(compute.is_finite(numbers)).as_py() or 0
            wrong += len(numbers) - numbers.null_count - finite
    if not _is_list(values.type):
        return f"has {wrong} rows with NaN or infinity" if wrong else None
    for count, what in ((missing, "None"), (wrong, "NaN or infinity")):
        if count:
            return f"has lists in which {count} of {total} values {'is' if count == 1 else 'are'} {what}"
    return None


def _flat(values: Any) -> Any:
    """The values inside of lists, and of lists of lists, one after the other."""
    from pyarrow import compute

    while _is_list(values.type):
        values = compute.list_flatten(values)
    return values


def _is_list(kind: Any) -> bool:
    import pyarrow

    is_list = (pyarrow.types.is_list, pyarrow.types.is_large_list, pyarrow.types.is_fixed_size_list)
    return any(check(kind) for check in is_list)
