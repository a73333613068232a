"""The distinct values of one field, sorted, so that a comparison is a range of them.

Order: null, false, true, integers, floats, integers of more than 64 bits, texts, long texts. Numbers are
sorted by value, texts by their UTF-8 bytes, which is how the database compares them. Of a text of more than
`MAX_CHARACTERS` only its beginning and a digest are kept: that answers every comparison but whether one long
text comes before another with the same beginning.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from indexing.search.filters import Value

__all__ = ["MAX_CHARACTERS", "Dictionary", "Key", "NotCovered", "key_of", "kinds_of", "pack"]

MAX_CHARACTERS = 256

Key: TypeAlias = tuple[str, Any]
"""A value with its group, as 1, 1.0 and True are equal in Python but not in a filter or a facet. Of a long
text the value is (beginning, digest)."""

Ranges: TypeAlias = list[tuple[int, int]]

_CONSTANTS: dict[str, Any] = {"null": None, "false": False, "true": True}
_GROUPS = (*_CONSTANTS, "int", "float", "big", "text", "long")
_LEAST, _MOST = -(2**63), 2**63 - 1


class NotCovered(Exception):
    """The columns cannot answer this; the database can."""


def key_of(value: Any) -> Key | None:
    """The key of a metadata value; None for what no filter compares with (a list in a list, an object)."""
    if value is None or isinstance(value, bool):
        return {None: "null", False: "false", True: "true"}[value], value
    if isinstance(value, int):
        return ("int" if _LEAST <= value <= _MOST else "big"), value
    if isinstance(value, float):
        return "float", value
    if isinstance(value, str):
        return ("text", value) if len(value) <= MAX_CHARACTERS else ("long", _shorten(value))
    return None


_KINDS = {
    "null": "null",
    **dict.fromkeys(("false", "true"), "truth"),
    **dict.fromkeys(("int", "float", "big"), "number"),
    **dict.fromkeys(("text", "long"), "text"),
}


def kinds_of(metadata: Mapping[str, Any], field: str) -> set[str]:
    """The kind of a document's value in `field`: text, number, truth or null; a list counts as text."""
    if field not in metadata:
        return set()
    value = metadata[field]
    key = ("text", "") if isinstance(value, list) else key_of(value)
    return set() if key is None else {_KINDS[key[0]]}


def _shorten(text: str) -> tuple[str, bytes]:
    return text[:MAX_CHARACTERS], hashlib.blake2b(_bytes(text), digest_size=16).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _sort_key(key: Key) -> tuple[int, Any, Any]:
    group, value = key
    at = _GROUPS.index(group)
    if group == "text":
        return at, _bytes(value), b""
    if group == "long":
        return at, _bytes(value[0]), value[1]
    return at, 0 if value is None else value, 0


def pack(keys: Sequence[Key]) -> tuple[list[int], dict[str, np.ndarray]]:
    """The order in which `keys` are kept, and the arrays they are kept in, for `Dictionary`."""
    order = sorted(range(len(keys)), key=lambda i: _sort_key(keys[i]))
    groups: dict[str, list[Any]] = {group: [] for group in _GROUPS}
    for i in order:
        groups[keys[i][0]].append(keys[i][1])
    arrays: dict[str, np.ndarray] = {
        "constants": np.asarray([len(groups[name]) for name in _CONSTANTS], np.uint8),
        "int": np.asarray(groups["int"], np.int64),
        "float": np.asarray(groups["float"], np.float64),
        "big": _blob([json.dumps(groups["big"]).encode()])[0] if groups["big"] else np.empty(0, np.uint8),
        "digest": np.frombuffer(b"".join(value[1] for value in groups["long"]), np.uint8),
    }
    arrays["text"], arrays["text_ends"] = _blob([_bytes(value) for value in groups["text"]])
    arrays["long"], arrays["long_ends"] = _blob([_bytes(value[0]) for value in groups["long"]])
    return order, {name: array for name, array in arrays.items() if len(array)}


def _blob(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All bytes in a row, and where each text ends."""
    ends = np.cumsum(np.asarray([len(text) for text in texts], np.int64), dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), ends


class _Texts(Sequence[bytes]):
    """Texts of a blob, read when they are looked at."""

    def __init__(self, blob: np.ndarray, ends: np.ndarray) -> None:
        self._blob, self._ends = blob, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, at: Any) -> Any:
        at = range(len(self))[at]
        start = int(self._ends[at - 1]) if at else 0
        return self._blob[start : int(self._ends[at])].tobytes()


class Dictionary:
    """Read side of `pack`. A value's number is its place in the order."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        def array(name: str, dtype: Any) -> np.ndarray:
            return arrays.get(name, np.empty(0, dtype))

        self._ints, self._floats = array("int", np.int64), array("float", np.float64)
        big = array("big", np.uint8)
        self._bigs: list[int] = json.loads(big.tobytes()) if len(big) else []
        self._big_floats = [float(value) for value in self._bigs]
        self._texts = _Texts(array("text", np.uint8), array("text_ends", np.int64))
        self._longs = _Texts(array("long", np.uint8), array("long_ends", np.int64))
        self._digests = array("digest", np.uint8).reshape(-1, 16)
        present = zip(_CONSTANTS, array("constants", np.uint8).tolist(), strict=False)
        sizes = {
            **dict.fromkeys(_CONSTANTS, 0),
            **dict(present),
            "int": len(self._ints),
            "float": len(self._floats),
            "big": len(self._bigs),
            "text": len(self._texts),
            "long": len(self._longs),
        }
        ends = np.cumsum([sizes[group] for group in _GROUPS]).tolist()
        self._start = dict(zip(_GROUPS, [0, *ends[:-1]], strict=True))
        self._sizes = sizes
        self._size: int = ends[-1]

    def __len__(self) -> int:
        return self._size

    def key(self, number: int) -> Key:
        """The value of a number."""
        group = next(g for g in reversed(_GROUPS) if self._sizes[g] and number >= self._start[g])
        at = number - self._start[group]
        if group in _CONSTANTS:
            return group, _CONSTANTS[group]
        if group == "text":
            return group, self._texts[at].decode("utf-8", "surrogatepass")
        if group == "long":
            return group, (self._longs[at].decode("utf-8", "surrogatepass"), self._digests[at].tobytes())
        values: Any = {"int": self._ints, "float": self._floats, "big": self._bigs}[group]
        return group, values[at] if group == "big" else values[at].item()

    def keys(self, numbers: Iterable[int]) -> list[Key]:
        return [self.key(number) for number in numbers]

    def kinds(self, counts: np.ndarray) -> set[str]:
        """The kinds of the values that `counts` (by number) has any of."""
        return {
            _KINDS[group]
            for group in _GROUPS
            if counts[self._start[group] : self._start[group] + self._sizes[group]].any()
        }

    def find(self, operator: str, value: Value) -> Ranges:
        """The numbers of values that compare with `value` as asked, as half-open ranges. `operator` is one of
        = < <= > >=.

        Raises:
            NotCovered: it would take the whole of long texts.
        """
        if value is None or isinstance(value, bool):
            group = {None: "null", False: "false", True: "true"}[value]
            return self._ranges(group, 0, self._sizes[group])
        if isinstance(value, str):
            return self._find_text(operator, value)
        return [
            *self._ranges("int", *_range(operator, len(self._ints), *_bounds_among_ints(self._ints, value))),
            *self._ranges("float", *_range(operator, len(self._floats), *_bounds(self._floats, value))),
            *self._ranges("big", *_range(operator, len(self._bigs), *_bounds(self._big_floats, value))),
        ]

    def _ranges(self, group: str, low: int, high: int) -> Ranges:
        start = self._start[group]
        return [(start + low, start + high)] if high > low else []

    def _find_text(self, operator: str, value: str) -> Ranges:
        data = _bytes(value)
        low, high = bisect_left(self._texts, data), bisect_right(self._texts, data)
        found = self._ranges("text", *_range(operator, len(self._texts), low, high))
        return [*found, *self._find_long(operator, value)]

    def _find_long(self, operator: str, value: str) -> Ranges:
        """A long text is none of the shorter ones, and above those that it begins with."""
        count = len(self._longs)
        if len(value) <= MAX_CHARACTERS:
            at = bisect_left(self._longs, _bytes(value))
            return [] if operator == "=" else self._ranges("long", *_range(operator, count, at, at))
        beginning, digest = _shorten(value)
        low, high = (bound(self._longs, _bytes(beginning)) for bound in (bisect_left, bisect_right))
        if operator == "=":
            same = [at for at in range(low, high) if self._digests[at].tobytes() == digest]
            return self._ranges("long", same[0], same[0] + 1) if same else []
        if high > low:
            raise NotCovered("texts that begin alike")
        return self._ranges("long", *_range(operator, count, low, low))


def _range(operator: str, count: int, low: int, high: int) -> tuple[int, int]:
    """Of `count` sorted values, of which those from `low` to `high` are equal to the wanted one."""
    return {
        "=": (low, high),
        "<": (0, low),
        "<=": (0, high),
        ">": (high, count),
        ">=": (low, count),
    }[operator]


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
