"""What is compared with what: texts in their normal form, dates in time, patterns, and nested fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from indexing.normal_forms import normal_form
from indexing.search.filter_dates import Span, span_of

__all__ = [
    "KINDS",
    "Date",
    "Like",
    "Text",
    "Value",
    "flat",
    "flat_json",
    "kinds_compared",
    "like",
    "read_text",
]

# Fields further down are left out: what is nested deeper is no metadata that a person would name.
MAX_LEVELS = 16


@dataclass(frozen=True)
class Date:
    """A date that was written without quotes: it compares with dates only."""

    text: str


Value: TypeAlias = str | int | float | bool | Date | None


@dataclass(frozen=True)
class Text:
    """A text of a filter as it is compared. `span`: what it is where it is a date; `form` is None where it is
    nothing else.
    """

    form: str | None
    span: Span | None


@lru_cache(maxsize=4_096)
def read_text(value: str | Date) -> Text:
    """How a text or date of a filter compares: with dates in time, with other texts in their normal form."""
    form = normal_form(value.text if isinstance(value, Date) else value)
    return Text(None if isinstance(value, Date) else form, span_of(form))


KINDS = {"text": "text", "date": "dates", "number": "numbers", "truth": "true or false"}
"""Kinds of values, each with its name in a sentence."""


def kinds_compared(operator: str, value: Value) -> frozenset[str]:
    """The kinds of stored values that a value of a filter compares with; none for null, which takes all."""
    if value is None:
        return frozenset()
    if isinstance(value, bool):
        return frozenset(["truth"])
    if isinstance(value, int | float):
        return frozenset(["number"])
    if isinstance(value, Date):
        return frozenset(["date"])
    return frozenset(["text", "date"] if operator == "like" or read_text(value).span else ["text"])


_TOKEN = re.compile(r"\\([%_\\])|(%)|(_)|([^%_\\]+|\\)", re.DOTALL)


class Like:
    """A pattern: `%` is any number of characters, `_` one; `\\` before one of these, or before itself, makes
    it an ordinary character. It is compared with normal forms, in time that grows with the text.

    Attributes:
        start: what a text must begin with, as far as that is told by characters alone; its normal form.
        is_text: whether the pattern is `start` and nothing else.
        is_start: whether the pattern is `start` and anything after it.
        runs: the runs of characters that must be somewhere in the text.
    """

    def __init__(self, pattern: str) -> None:
        parts = [_normal(part) for part in _split(pattern)]
        self._parts = [_compile(part) for part in parts]
        self._last_length = sum(1 if run is None else len(run) for run in parts[-1])
        plain = all(run is not None for run in parts[0])
        self.start = "".join(run for run in parts[0] if run) if plain else ""
        self.is_text = plain and len(parts) == 1
        self.is_start = plain and len(parts) == 2 and not parts[1]
        self.runs = [run for part in parts for run in part if run]

    def matches(self, form: str) -> bool:
        """Whether a text in its normal form fits: the first part stands at its start, the last one at its
        end, each of the others as early as it can.
        """
        first, *others = self._parts
        if not others:
            return first.fullmatch(form) is not None
        found = first.match(form)
        for part in others[:-1]:
            if found is None:
                return False
            found = part.search(form, found.end())
        end = len(form) - self._last_length
        return found is not None and found.end() <= end and others[-1].fullmatch(form, end) is not None


@lru_cache(maxsize=256)
def like(pattern: str) -> Like:
    """The pattern, read."""
    return Like(pattern)


def _split(pattern: str) -> list[list[str | None]]:
    """The parts between two `%`: characters, with None for each `_`."""
    parts: list[list[str | None]] = [[]]
    for escaped, many, one, run in _TOKEN.findall(pattern):
        if many:
            parts.append([])
        else:
            parts[-1].append(None if one else escaped or run)
    return parts


def _normal(part: list[str | None]) -> list[str | None]:
    """Characters in a row as one text, in its normal form."""
    runs: list[str | None] = []
    for run in part:
        if run is not None and runs and runs[-1] is not None:
            runs[-1] += run
        else:
            runs.append(run)
    return [None if run is None else normal_form(run) for run in runs]


def _compile(part: list[str | None]) -> re.Pattern[str]:
    return re.compile("".join("." if run is None else re.escape(run) for run in part), re.DOTALL)


def flat(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata without objects in it: `{"author": {"name": "x"}}` has the fields `author.name` and `author`,
    which holds nothing that compares; objects in a list make lists. What comes to the same name is a list.
    """
    if not any(_holds_objects(value) for value in metadata.values()):
        return metadata
    fields: dict[str, Any] = {}
    for name, value in metadata.items():
        _spread(fields, name, value, 1)
    return fields


def flat_json(metadata: str) -> str:
    """The same of JSON."""
    return metadata if metadata.count("{") < 2 else json.dumps(flat(json.loads(metadata)))


def _holds_objects(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(element, dict) for element in value)
    )


def _spread(fields: dict[str, Any], name: str, value: Any, level: int) -> None:
    if not _holds_objects(value):
        _put(fields, name, value)
        return
    objects = [value] if isinstance(value, dict) else [one for one in value if isinstance(one, dict)]
    _put(fields, name, [] if isinstance(value, dict) else [one for one in value if not isinstance(one, dict)])
    if level == MAX_LEVELS:
        return
    for one in objects:
        for inner, nested in one.items():
            as_list = isinstance(value, list) and not isinstance(nested, (list, dict))
            _spread(fields, f"{name}.{inner}", [nested] if as_list else nested, level + 1)


def _put(fields: dict[str, Any], name: str, value: Any) -> None:
    """Lists in `fields` are its own, and grow."""
    if name not in fields:
        fields[name] = list(value) if isinstance(value, list) else value
        return
    if not isinstance(fields[name], list):
        fields[name] = [fields[name]]
    fields[name].extend(value if isinstance(value, list) else [value])
