"""The distinct values of one field, sorted, so that a comparison is a range of them.

Order: null, false, true, integers, floats, integers of more than 64 bits, texts, long texts. Numbers are
sorted by value, texts as `indexing.columns.texts` says.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from indexing.columns.ranges import Ranges, as_ranges, overlap, range_of
from indexing.columns.texts import NotCovered, Texts, pack_texts, text_key
from indexing.normal_forms import normal_form
from indexing.search.filter_dates import instant_of
from indexing.search.filter_values import Date, Value, flat, like, read_text

__all__ = ["PARTS", "Dictionary", "Key", "NotCovered", "key_of", "kinds_of", "pack"]

Key: TypeAlias = tuple[str, Any]
"""A value with its group, as 1, 1.0 and True are equal in Python but not in a filter or a facet. For texts
see `indexing.columns.texts`."""

PARTS = tuple(
    "constants int float big text text_ends form form_ends long long_ends digest moments moment_at".split()
)
"""The names of the arrays of a dictionary."""

_CONSTANTS: dict[str, Any] = {"null": None, "false": False, "true": True}
_GROUPS = (*_CONSTANTS, "int", "float", "big", "text", "long")
_NUMBERS = ("int", "float", "big")
_LEAST, _MOST = -(2**63), 2**63 - 1


def key_of(value: Any) -> Key | None:
    """The key of a metadata value; None for what no filter compares with (a list in a list, an object)."""
    if isinstance(value, str):
        return text_key(value)
    if value is None or isinstance(value, bool):
        return {None: "null", False: "false", True: "true"}[value], value
    if isinstance(value, int):
        return ("int" if _LEAST <= value <= _MOST else "big"), value
    return ("float", value) if isinstance(value, float) else None


def kinds_of(metadata: Mapping[str, Any], field: str) -> set[str]:
    """The kinds of a document's values in `field`, see `Dictionary.kinds`; "list" where it is one."""
    fields = flat(metadata)
    if field not in fields:
        return set()
    value = fields[field]
    if isinstance(value, list):
        return {"list"}.union(*map(_kind_of, value))
    return _kind_of(value)


def _kind_of(value: Any) -> set[str]:
    if isinstance(value, str):
        return {"text" if instant_of(normal_form(value)) is None else "date"}
    key = key_of(value)
    return set() if key is None else {"number" if key[0] in _NUMBERS else _KIND_OF_CONSTANT[key[0]]}


_KIND_OF_CONSTANT = {"null": "null", "false": "truth", "true": "truth"}


def pack(keys: Sequence[Key]) -> tuple[list[int], dict[str, np.ndarray]]:
    """The order in which `keys` are kept, and the arrays they are kept in, for `Dictionary`."""
    places: dict[str, list[int]] = {group: [] for group in _GROUPS}
    for i, (group, _) in enumerate(keys):
        places[group].append(i)
    for group in _NUMBERS:
        places[group].sort(key=lambda i: keys[i][1])
    texts, longs = ([keys[i][1] for i in places[group]] for group in ("text", "long"))
    text_order, long_order, arrays = pack_texts(texts, longs)
    places["text"] = [places["text"][i] for i in text_order]
    places["long"] = [places["long"][i] for i in long_order]
    ints, floats, bigs = ([keys[i][1] for i in places[group]] for group in _NUMBERS)
    arrays |= {
        "constants": np.asarray([len(places[name]) for name in _CONSTANTS], np.uint8),
        "int": np.asarray(ints, np.int64),
        "float": np.asarray(floats, np.float64),
        "big": np.frombuffer(json.dumps(bigs).encode() if bigs else b"", np.uint8),
    }
    order = [i for group in _GROUPS for i in places[group]]
    return order, {name: array for name, array in arrays.items() if len(array)}


class Dictionary:
    """Read side of `pack`. A value's number is its place in the order."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        def array(name: str, dtype: Any) -> np.ndarray:
            return arrays.get(name, np.empty(0, dtype))

        self._ints, self._floats = array("int", np.int64), array("float", np.float64)
        big = array("big", np.uint8)
        self._bigs: list[int] = json.loads(big.tobytes()) if len(big) else []
        self._big_floats = [float(value) for value in self._bigs]
        self._texts = Texts(arrays)
        present = zip(_CONSTANTS, array("constants", np.uint8).tolist(), strict=False)
        sizes = {
            **dict.fromkeys(_CONSTANTS, 0),
            **dict(present),
            "int": len(self._ints),
            "float": len(self._floats),
            "big": len(self._bigs),
            "text": len(self._texts),
        }
        ends = np.cumsum(list(sizes.values())).tolist()
        self._start = dict(zip(sizes, [0, *ends[:-1]], strict=True))
        self._sizes = sizes
        self._size: int = ends[-1]

    def __len__(self) -> int:
        return self._size

    def keys(self, numbers: np.ndarray) -> list[Key]:
        """The values of some numbers, ascending."""
        found: list[Key] = []
        for group, start in self._start.items():
            low, high = np.searchsorted(numbers, [start, start + self._sizes[group]])
            at = numbers[low:high] - start
            if group == "text":
                found += self._texts.keys(at)
            elif group in _CONSTANTS:
                found += [(group, _CONSTANTS[group])] * len(at)
            elif group == "big":
                found += [(group, self._bigs[i]) for i in at.tolist()]
            else:
                values = self._ints if group == "int" else self._floats
                found += [(group, value) for value in values[at].tolist()]
        return found

    def nulls(self, counts: np.ndarray) -> int:
        """How often null occurs, where `counts` is how often each value does."""
        return int(counts[: self._sizes["null"]].sum())

    def years(self, counts: np.ndarray) -> dict[int, int]:
        """How often a date of each year occurs, where `counts` is how often each value does."""
        start = self._start["text"]
        return self._texts.years(counts[start : start + self._sizes["text"]])

    def kinds(self, counts: np.ndarray) -> set[str]:
        """The kinds of the values that `counts` (by number) has any of: null, truth, number, text, date."""
        kinds: set[str] = set()
        for group, start in self._start.items():
            part = counts[start : start + self._sizes[group]]
            if group == "text":
                kinds |= self._texts.kinds(part)
            elif part.any():
                kinds.add("number" if group in _NUMBERS else _KIND_OF_CONSTANT[group])
        return kinds

    def find(self, operator: str, value: Value | tuple[Value, Value]) -> Ranges:
        """The numbers of values that compare with `value` as asked. `operator` is one of = < <= > >= like
        between.

        Raises:
            NotCovered: it would take the whole of long texts.
        """
        if isinstance(value, tuple):
            low, high = value
            return overlap(self.find(">=", low), self.find("<=", high), len(self))
        if value is None or isinstance(value, bool):
            group = {None: "null", False: "false", True: "true"}[value]
            return as_ranges([(self._start[group], self._start[group] + self._sizes[group])])
        if isinstance(value, str | Date):
            is_like = operator == "like" and isinstance(value, str)
            texts = self._texts
            found = texts.find_like(like(str(value))) if is_like else texts.find(operator, read_text(value))
            return found + self._start["text"]
        return self._find_number(operator, value)

    def _find_number(self, operator: str, value: float) -> Ranges:
        places = {
            "int": range_of(operator, len(self._ints), *_bounds_among_ints(self._ints, value)),
            "float": range_of(operator, len(self._floats), *_bounds(self._floats, value)),
            "big": range_of(operator, len(self._bigs), *_bounds(self._big_floats, value)),
        }
        return as_ranges([(self._start[g] + low, self._start[g] + high) for g, (low, high) in places.items()])


def _bounds(values: Sequence[float] | np.ndarray, value: float) -> tuple[int, int]:
    """Where floats equal to `value` begin and end; an integer is compared exactly."""
    if isinstance(value, int):
        near = float(value)
        if int(near) != value:  # no float equals it, and `near` is the next one on one side
            at = _bisect(values, near, bisect_right if near < value else bisect_left)
            return at, at
        value = near
    return _bisect(values, value, bisect_left), _bisect(values, value, bisect_right)


def _bounds_among_ints(values: np.ndarray, value: float) -> tuple[int, int]:
    """Where integers equal to `value` begin and end; a float is compared exactly."""
    if math.isinf(value):
        return (0, 0) if value < 0 else (len(values), len(values))
    low, high = math.ceil(value), math.floor(value)  # low > high where nothing is equal
    return (
        len(values) if low > _MOST else _bisect(values, max(low, _LEAST), bisect_left),
        0 if high < _LEAST else _bisect(values, min(high, _MOST), bisect_right),
    )


def _bisect(values: Any, value: float, bound: Callable[..., int]) -> int:
    if isinstance(values, np.ndarray):
        side = "left" if bound is bisect_left else "right"
        return int(np.searchsorted(values, np.asarray(value, values.dtype), side))  # type: ignore[call-overload]
    return bound(values, value)
