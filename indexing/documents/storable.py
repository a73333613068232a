"""What the catalog keeps: text that a database takes, and metadata as JSON values.

A date, time or moment becomes its ISO 8601 text (`2024-05-01`, `2024-05-01T10:00:00Z`), a length of time its
seconds, a Decimal a number (its text where a number would be another one), an UUID or path its text.
Lists, tuples and objects are kept as they are, with the same inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

__all__ = ["MAX_BITS", "MAX_DEPTH", "MAX_VALUES", "MetadataValue", "storable_text", "storable_value"]

MetadataValue: TypeAlias = "str | int | float | bool | list[Any] | dict[str, Any] | None"
# Larger ones are beyond every floating point number, which is how a database compares them.
MAX_BITS = 1023
# A field that holds more is a document of its own, not something to filter by; the columns that filters
# read would grow with it.
MAX_DEPTH = 16
MAX_VALUES = 4096

_NUMBERS = "NaN, Infinity or numbers of more than 308 digits"
_TOO_MUCH = f"more than {MAX_VALUES:,} values or {MAX_DEPTH} levels"
_MISSING = ("NaTType", "NAType")  # what pandas has where there is no value


def storable_text(text: str) -> str:
    """`text` without what a UTF-8 database column refuses: lone surrogates and NUL become U+FFFD.

    Each is one character for one character, so spans into the text stay right.
    """
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def storable_value(value: Any, lost: list[str] | None = None) -> tuple[bool, MetadataValue]:
    """(True, the value as it is stored) or (False, None) when metadata cannot hold it.

    With `lost` the parts of a list or object that metadata cannot hold are left out (None takes their place
    in a list), and what they were is appended; the rest is kept.
    """
    kind = type(value)
    if value is None or kind is bool:
        return True, value
    if kind is str:
        return True, storable_text(value)
    keeper = _Keeper(lost)
    try:
        return True, keeper.keep(value, 1)
    except _Refused as refused:
        if lost is not None:
            lost.append(str(refused))
        return False, None


class _Refused(Exception):
    """Metadata cannot hold this; the message says what it is."""


class _Keeper:
    """Walks through one value; counts what is in it."""

    def __init__(self, lost: list[str] | None) -> None:
        self._lost = lost
        self._values = 0

    def keep(self, value: Any, depth: int) -> MetadataValue:
        self._values += 1
        if self._values > MAX_VALUES or depth > MAX_DEPTH:
            raise _Refused(_TOO_MUCH)
        if value is None or isinstance(value, (bool, str)):
            return storable_text(str.__str__(value)) if isinstance(value, str) else value
        if isinstance(value, (int, float)):
            return _number(value)
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, (list, tuple)):
            return self._list(value, depth)
        if type(value).__module__ == "numpy":
            return self.keep(value.tolist(), depth)
        return _plain(value)

    def _list(self, values: Any, depth: int) -> list[MetadataValue]:
        kept: list[MetadataValue] = []
        for value in values:
            part = self._part(value, depth)
            kept.append(None if part is _Refused else part)
        return kept

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, MetadataValue]:
        kept: dict[str, MetadataValue] = {}
        for name, inner in value.items():
            if (part := self._part(inner, depth)) is not _Refused:
                kept[storable_text(_name(name))] = part
        return kept

    def _part(self, value: Any, depth: int) -> Any:
        try:
            return self.keep(value, depth + 1)
        except _Refused as refused:
            if self._lost is None or str(refused) == _TOO_MUCH:
                raise
            self._lost.append(str(refused))
            return _Refused


def _number(value: int | float) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _Refused(_NUMBERS)
        return float(value)
    if value.bit_length() > MAX_BITS:
        raise _Refused(_NUMBERS)
    return int(value)


def _name(name: Any) -> str:
    """The name of a field inside an object; YAML has numbers and dates there."""
    if isinstance(name, (int, float, date)):
        name = str(name)
    if not isinstance(name, str) or not name.strip():
        raise _Refused("a field whose name is blank or no text")
    return name


def _plain(value: Any) -> MetadataValue:
    if isinstance(value, Decimal):
        return _decimal(value)
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, datetime):
        text = value.isoformat()
        return text.replace("+00:00", "Z") if value.utcoffset() == timedelta(0) else text
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, (UUID, PurePath)):
        return storable_text(str(value))
    if isinstance(value, Enum):
        return _Keeper(None).keep(value.value, 1)
    raise _Refused(
        "bytes" if isinstance(value, (bytes, bytearray, memoryview)) else f"a {type(value).__name__}"
    )


def _decimal(value: Decimal) -> int | float | str:
    if not value.is_finite() or value.adjusted() > 306:
        raise _Refused(_NUMBERS)
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)
