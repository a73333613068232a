"""Which column of a table is the id, the title, the text; the rest becomes metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexing.documents.model import Document, storable_text, storable_value

__all__ = [
    "TEXT_FIELDS",
    "Fields",
    "NoText",
    "choose_fields",
    "flat_metadata",
    "is_number",
    "make_document",
    "number",
]

ID_FIELDS = ("id", "_id")
TITLE_FIELDS = ("title",)
TEXT_FIELDS = ("text", "contents", "content", "body", "abstract", "description")

# Numbers as a program writes them. "007", "1,5" or "1e5" stay text: they may be codes, and a code that
# turned into a number cannot be turned back.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?")


class NoText(Exception):
    """The record has no text to search; the message is the reason."""


@dataclass(frozen=True)
class Fields:
    """The names chosen; `text` holds several where no column is called like a text column."""

    id: str | None
    title: str | None
    text: tuple[str, ...]
    rest: tuple[str, ...]


def choose_fields(names: Sequence[str]) -> Fields:
    """Choose by name, whatever the case: the first known name wins. `text` is empty if none is known."""
    by_lower = {name.strip().lower(): name for name in reversed(names)}

    def first(known: Sequence[str]) -> str | None:
        return next((by_lower[name] for name in known if name in by_lower), None)

    key, title, text = first(ID_FIELDS), first(TITLE_FIELDS), first(TEXT_FIELDS)
    chosen = {key, title, text}
    return Fields(key, title, (text,) if text is not None else (), tuple(n for n in names if n not in chosen))


def make_document(key: Any, fallback_id: str, title: Any, text: str, metadata: dict[str, Any]) -> Document:
    """A document from the values of one record; raises `NoText` if neither text nor title says anything.

    A record with only a title is searched by its title. A missing or unusable id becomes `fallback_id`.
    """
    if key is None or key == "" or isinstance(key, (bool, float, list, dict)):
        key = fallback_id
    key = key if type(key) is str else str(key)
    title = title if isinstance(title, str) else "" if title is None else str(title)
    if not text or text.isspace():
        text, title = title, ""
        if not text or text.isspace():
            raise NoText("no text in it")
    return Document(key, text, title, metadata)


def flat_metadata(row: Mapping[str, Any], names: Sequence[str], into: dict[str, Any]) -> list[str]:
    """Copy the values that metadata can hold into `into`; returns the names of those it cannot."""
    refused = []
    for name in names:
        value = row[name]
        kind = type(value)
        if kind is str or kind is int or kind is bool:
            into[name] = value
        elif value is not None:
            ok, stored = storable_value(value)
            if ok:
                into[name] = stored
            else:
                refused.append(name)
    return refused


def is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def number(cell: str) -> int | float | str:
    """The number a cell holds, or the cell itself."""
    if not is_number(cell):
        return cell
    return float(cell) if "." in cell else int(cell)


def storable_document(document: Document) -> Document:
    """The document without characters a UTF-8 column refuses; only called where a batch holds some."""
    metadata = {storable_text(name): storable_value(value)[1] for name, value in document.metadata.items()}
    return Document(
        storable_text(document.id), storable_text(document.text), storable_text(document.title), metadata
    )
