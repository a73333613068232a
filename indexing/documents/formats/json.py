"""A JSON file: an array of objects is rows, as in JSON lines; another value is one document of `path: value`.

An object whose bulk is one array of objects (`{"results": [...]}`) is rows too. What is no JSON, as settings
with comments are not, is read as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from indexing.documents.fields import NoText, Rows
from indexing.documents.formats import jsonl
from indexing.documents.marks import Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, Unreadable, read_text

__all__ = ["read"]

# Parsed, a value takes up to ten times the memory of its text.
_MOST_PARSED = 128 * 2**20
_SMALL = 20  # values beside the rows of a file: what says where they are from
_ROWS = re.compile(r"\ufeff?\s*\[\s*\{")
_TITLES = ("title", "name", "subject", "headline", "label", "id")


def read(file: SourceFile) -> Iterator[Item]:
    with file.open() as stream:
        head = stream.peek(4096)[:4096].decode("utf-8", "replace")
    if _ROWS.match(head):
        yield from jsonl.read(file)  # row by row, whatever its size
        return
    text = read_text(file)
    if len(text) > _MOST_PARSED:
        raise Unreadable(
            f"is one JSON value of {len(text) >> 20} MiB, {_MOST_PARSED >> 20} MiB are allowed; "
            "make it an array of objects or JSON lines"
        )
    if not text.strip():
        raise Unreadable("no text in it")
    file.bytes_read = 0
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise Unreadable("not usable JSON: nested too deeply") from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            yield from jsonl.read(file)  # several values, one after the other
            return
        file.note(f"is not valid JSON ({error.msg} in line {error.lineno}): it was read as text")
        yield Document(file.name, text, marks=(Mark(0, "line", 1),))
        return
    except ValueError:
        raise Unreadable("not usable JSON: a number of more than 4,300 digits") from None
    yield from _documents(file, value)


def _documents(file: SourceFile, value: Any) -> Iterator[Item]:
    found = _bulk(value) if isinstance(value, dict) else None
    if found:
        items = list(_rows(file, *found))
        if any(isinstance(item, Document) for item in items):
            yield from items
            return
    lines = "\n".join(_lines(value))
    if lines.strip():
        yield Document(file.name, lines, _title(value))
    else:
        yield Skipped(file.source, None, "no text in it")


def _bulk(value: dict[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """The one array of objects that a file is about, and its name."""
    arrays = [
        (name, inner)
        for name, inner in value.items()
        if isinstance(inner, list) and len(inner) > 1 and all(isinstance(one, dict) for one in inner)
    ]
    rest = [inner for name, inner in value.items() if not arrays or name != arrays[0][0]]
    return arrays[0] if len(arrays) == 1 and sum(map(_size, rest)) <= _SMALL else None


def _size(value: Any) -> int:
    """How many values there are in it, counted no further than is of interest."""
    inner: Iterable[Any] = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    total = 1
    for one in inner:
        total += _size(one) if total <= _SMALL else 1
    return total


def _rows(file: SourceFile, name: str, values: list[dict[str, Any]]) -> Iterator[Item]:
    rows = Rows(file.options, file.note)
    for number, value in enumerate(values, start=1):
        try:
            yield rows.document(value, f"{file.name}#{name}/{number}")
        except NoText as error:
            yield Skipped(file.source, None, f"{name}, entry {number}: {error}")


def _lines(value: Any, path: str = "") -> Iterator[str]:
    """`path.to.key: value` for each value within; lists of values are one line."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        plain = [_text(one) for one in value if not isinstance(one, (dict, list))]
        if shown := [text for text in plain if text]:
            yield _line(path, ", ".join(shown))
        for inner in value:
            if isinstance(inner, (dict, list)):
                yield from _lines(inner, path)
    elif text := _text(value):
        yield _line(path, text)


def _line(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else json.dumps(value)


def _title(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    names = {name.lower(): inner for name, inner in reversed(value.items()) if isinstance(inner, str)}
    return next((names[name].strip() for name in _TITLES if names.get(name, "").strip()), "")
