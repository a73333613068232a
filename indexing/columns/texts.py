"""The distinct texts of one field, sorted by their normal forms, so that most comparisons are ranges of them.

Those of a normal form of more than `MAX_CHARACTERS` come last, as its beginning and a digest: that answers
every comparison but patterns, and whether one long text comes before another with the same beginning. Beside
them stands which of the texts are dates, in the order of time.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from indexing.columns.ranges import Ranges, as_ranges, no_ranges, range_of, runs
from indexing.normal_forms import normal_form
from indexing.search.filter_dates import Span, instant_of
from indexing.search.filter_values import Like, Text

__all__ = ["MAX_CHARACTERS", "NotCovered", "Texts", "pack_texts", "text_key"]

MAX_CHARACTERS = 256
_MOST_SHOWN = 4 * MAX_CHARACTERS  # a longer text whose normal form is that short is mostly unseen characters
_EXPANSION = 18  # the most characters that one becomes in a normal form

TextKey: TypeAlias = tuple[str, Any]
"""("text", as it is written), or ("long", (beginning of the normal form, digest of it))."""


class NotCovered(Exception):
    """The columns cannot answer this; the database can."""


def text_key(text: str) -> TextKey:
    """The key of a text."""
    if len(text) * _EXPANSION <= MAX_CHARACTERS or (text.isascii() and len(text) <= MAX_CHARACTERS):
        return "text", text
    form = normal_form(text)
    if len(form) > MAX_CHARACTERS:
        return "long", _shorten(form)
    return "text", text if len(text) <= _MOST_SHOWN else form


def _shorten(form: str) -> tuple[str, bytes]:
    return form[:MAX_CHARACTERS], hashlib.blake2b(_bytes(form), digest_size=16).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def pack_texts(texts: Sequence[str], longs: Sequence[tuple[str, bytes]]) -> tuple[list[int], list[int], dict]:
    """The orders in which `texts` and `longs` are kept, and the arrays they are kept in, for `Texts`."""
    forms = [normal_form(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: (_bytes(forms[i]), _bytes(texts[i])))
    long_order = sorted(range(len(longs)), key=lambda i: (_bytes(longs[i][0]), longs[i][1]))
    moments = [(moment, at) for at, i in enumerate(order) if (moment := instant_of(forms[i])) is not None]
    moments.sort()
    arrays: dict[str, np.ndarray] = {
        "digest": np.frombuffer(b"".join(longs[i][1] for i in long_order), np.uint8),
        "moments": np.asarray([moment for moment, _ in moments], np.int64),
        "moment_at": np.asarray([at for _, at in moments], np.int64),
    }
    arrays["text"], arrays["text_ends"] = _blob([_bytes(texts[i]) for i in order])
    if any(form != text for form, text in zip(forms, texts, strict=True)):
        arrays["form"], arrays["form_ends"] = _blob([_bytes(forms[i]) for i in order])
    arrays["long"], arrays["long_ends"] = _blob([_bytes(longs[i][0]) for i in long_order])
    return order, long_order, arrays


def _blob(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All bytes in a row, and where each text ends."""
    ends = np.cumsum(np.asarray([len(text) for text in texts], np.int64), dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), ends


class _Blob(Sequence[bytes]):
    """Texts of a blob, read when they are looked at."""

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str) -> None:
        self.bytes = arrays.get(name, np.empty(0, np.uint8))
        self.ends = arrays.get(f"{name}_ends", np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, at: Any) -> Any:
        at = range(len(self))[at]
        start = int(self.ends[at - 1]) if at else 0
        return self.bytes[start : int(self.ends[at])].tobytes()

    def decode(self, numbers: np.ndarray) -> list[str]:
        """Some of them, as text."""
        ends = self.ends[numbers].tolist()
        starts = np.where(numbers > 0, self.ends[numbers - 1], 0).tolist()
        data = np.ascontiguousarray(self.bytes).data
        return [
            str(data[a:b], "utf-8", "surrogatepass") if b > a else ""
            for a, b in zip(starts, ends, strict=True)
        ]


class Texts:
    """Read side of `pack_texts`. A text's number is its place, the long ones coming after the others."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._texts, self._longs = _Blob(arrays, "text"), _Blob(arrays, "long")
        self._forms = _Blob(arrays, "form") if "form_ends" in arrays else self._texts
        self._digests = arrays.get("digest", np.empty(0, np.uint8)).reshape(-1, 16)
        self._moments = arrays.get("moments", np.empty(0, np.int64))
        self._moment_at = arrays.get("moment_at", np.empty(0, np.int64))
        self.short, self.long = len(self._texts), len(self._longs)

    def __len__(self) -> int:
        return self.short + self.long

    def keys(self, numbers: np.ndarray) -> list[TextKey]:
        """The texts of some numbers, ascending."""
        at = int(np.searchsorted(numbers, self.short))
        longs = numbers[at:] - self.short
        digests = [self._digests[i].tobytes() for i in longs.tolist()]
        return [
            *(("text", text) for text in self._texts.decode(numbers[:at])),
            *(("long", key) for key in zip(self._longs.decode(longs), digests, strict=True)),
        ]

    def kinds(self, counts: np.ndarray) -> set[str]:
        """Which of text and date there are, where `counts` is how often each text occurs."""
        dates = np.zeros(len(self), dtype=bool)
        dates[self._moment_at] = True
        return {kind for kind, mask in (("date", dates), ("text", ~dates)) if counts[mask].any()}

    def years(self, counts: np.ndarray) -> dict[int, int]:
        """How often a date of each year occurs, where `counts` is how often each text does."""
        numbers = self._moments.view("M8[us]").astype("M8[Y]").astype(np.int64) + 1970
        years, places = np.unique(numbers, return_inverse=True)
        sums = np.bincount(places, counts[self._moment_at], minlength=len(years)).astype(np.int64)
        return {year: count for year, count in zip(years.tolist(), sums.tolist(), strict=True) if count}

    def find(self, operator: str, text: Text) -> Ranges:
        """The numbers of texts that compare with one of a filter as asked; `operator` is one of = < <= > >=.

        Raises:
            NotCovered: it would take the whole of long texts.
        """
        found = no_ranges() if text.form is None else self._find_form(operator, text.form)
        if text.span is None or not len(self._moments):
            return found
        within = self._moment_at[slice(*self._find_moments(operator, text.span))]
        if text.form is None or len(self._moments) == len(self):
            return runs(np.sort(within))
        table = np.zeros(len(self), dtype=bool)
        for low, high in found.tolist():
            table[low:high] = True
        table[self._moment_at] = False
        table[within] = True
        return runs(np.flatnonzero(table))

    def _find_moments(self, operator: str, span: Span) -> tuple[int, int]:
        if operator == "=":
            return int(np.searchsorted(self._moments, span.start)), int(
                np.searchsorted(self._moments, span.end)
            )
        operator, bound = span.bound(operator)
        at = int(np.searchsorted(self._moments, bound))
        return (0, at) if operator == "<" else (at, len(self._moments))

    def _find_form(self, operator: str, form: str) -> Ranges:
        data = _bytes(form)
        low, high = bisect_left(self._forms, data), bisect_right(self._forms, data)
        shorter = range_of(operator, self.short, low, high)
        longer = self._find_long(operator, form)
        return as_ranges([shorter, (self.short + longer[0], self.short + longer[1])])

    def _find_long(self, operator: str, form: str) -> tuple[int, int]:
        """A long text is none of the shorter ones, and above those that it begins with."""
        if len(form) <= MAX_CHARACTERS:
            at = bisect_left(self._longs, _bytes(form))
            return range_of(operator, self.long, at, at)
        beginning, digest = _shorten(form)
        low, high = (bound(self._longs, _bytes(beginning)) for bound in (bisect_left, bisect_right))
        if operator == "=":
            same = [at for at in range(low, high) if self._digests[at].tobytes() == digest]
            return (same[0], same[0] + 1) if same else (0, 0)
        if high > low:
            raise NotCovered("texts that begin alike")
        return range_of(operator, self.long, low, low)

    def find_like(self, pattern: Like) -> Ranges:
        """The numbers of texts that fit a pattern.

        Raises:
            NotCovered: it would take the whole of long texts.
        """
        if pattern.is_text:
            return self._find_form("=", pattern.start)
        if pattern.is_start and len(pattern.start) <= MAX_CHARACTERS:
            low, high = _range_from(self._forms, pattern.start)
            first, last = _range_from(self._longs, pattern.start)
            return as_ranges([(low, high), (self.short + first, self.short + last)])
        if self.long:
            raise NotCovered("patterns within long texts")
        low, high = _range_from(self._forms, pattern.start)
        numbers = self._with_part(pattern.runs, low, high)
        forms = self._forms.decode(numbers)
        return runs(numbers[[pattern.matches(form) for form in forms]] if len(numbers) else numbers)

    def _with_part(self, parts: Sequence[str], low: int, high: int) -> np.ndarray:
        """The numbers from `low` to `high` of texts that hold the rarest of `parts`, and perhaps more."""
        if not parts:
            return np.arange(low, high)
        start = int(self._forms.ends[low - 1]) if low else 0
        end = int(self._forms.ends[high - 1]) if high else 0
        data = self._forms.bytes[start:end].tobytes()
        rarest = min(map(_bytes, parts), key=data.count)
        # Looking ahead: what goes over the end of a text must not hide what begins in it.
        places = [found.start() for found in re.finditer(b"(?=%b)" % re.escape(rarest), data)]
        return np.unique(np.searchsorted(self._forms.ends, np.asarray(places, np.int64) + start, "right"))


def _range_from(texts: Sequence[bytes], start: str) -> tuple[int, int]:
    """Of sorted texts those that begin with `start`."""
    data = _bytes(start)
    size = len(data)
    return (
        bisect_left(texts, data),
        bisect_right(texts, data, key=lambda text: text[:size]),
    )
