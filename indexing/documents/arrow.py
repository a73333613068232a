"""Rows of Arrow tables as Python values. Only what is handed an object of pyarrow imports it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from indexing.documents.known_fields import unique_names
from indexing.documents.values import identifies

__all__ = ["rows_of_batch", "searchable_names"]


def rows_of_batch(batch: Any) -> Iterator[dict[str, Any]]:
    """The rows of a `RecordBatch`, one dict each; columns of the same name get names of their own."""
    names = unique_names(batch.schema.names)
    columns = [_values(column) for column in batch.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def searchable_names(schema: Any) -> set[str]:
    """The columns that may hold text, or numbers that are looked for."""
    return {
        name
        for name, column in zip(unique_names(schema.names), schema, strict=True)
        if _may_hold_text(column.type) or identifies(name)
    }


def _may_hold_text(kind: Any) -> bool:
    from pyarrow import types

    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _may_hold_text(kind.value_type)
    return not (numeric or types.is_boolean(kind) or types.is_null(kind) or types.is_temporal(kind))


def _values(column: Any) -> list[Any]:
    """Python values; times to the nanosecond are given to the microsecond, which Python's have."""
    from pyarrow import types

    kind = column.type
    if (types.is_timestamp(kind) or types.is_duration(kind) or types.is_time64(kind)) and kind.unit == "ns":
        column = column.cast(_in_microseconds(kind), safe=False)
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, OverflowError, KeyError):  # moments beyond the year 9999, an unknown time zone
        values = [_value(scalar) for scalar in column]
    return values


def _in_microseconds(kind: Any) -> Any:
    from pyarrow import duration, time64, timestamp, types

    if types.is_timestamp(kind):
        return timestamp("us", tz=kind.tz)
    return duration("us") if types.is_duration(kind) else time64("us")


def _value(scalar: Any) -> Any:
    """Its Python value; what has none stays what it is, which metadata refuses and says."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, KeyError):
        return scalar
