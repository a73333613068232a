"""Which column of a table is the id, the title, the text; the rest becomes metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from indexing.documents.model import Document, storable_text, storable_value

__all__ = [
    "TEXT_FIELDS",
    "Fields",
    "Kind",
    "NoText",
    "choose_fields",
    "convert_cell",
    "flat_metadata",
    "kind_of",
    "make_document",
]

ID_FIELDS = ("id", "_id")
TITLE_FIELDS = ("title",)
TEXT_FIELDS = ("text", "contents", "content", "body", "abstract", "description")

# Numbers as a program writes them. "007", "1,5" or "1e5" stay text: they may be codes, and a code that
# turned into a number cannot be turned back.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?")
# What programs write where a column of numbers has none; a filter cannot compare with them.
_NO_NUMBERS = ("nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")

Kind: TypeAlias = Literal["text", "number", "boolean"]


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
    title = title if isinstance(title, str) else "" if title is None or title != title else str(title)  # NaN
    if not text or text.isspace():
        text, title = title, ""
        if not text or text.isspace():
            raise NoText("no text in it")
    return Document(key, text, title, metadata)


def flat_metadata(
    row: Mapping[str, Any], names: Sequence[str], into: dict[str, Any], *, keep_none: bool = False
) -> list[str]:
    """Copy the values that metadata can hold into `into`; says of each other that it was left out.

    None is a field that a row lacks, and is only kept if `keep_none`.
    """
    refused = []
    for name in names:
        value = row[name]
        kind = type(value)
        if kind is str or kind is bool:
            into[name] = value
        elif value is not None or keep_none:
            ok, stored = storable_value(value)
            if ok:
                into[name] = stored
            else:
                numbers = "NaN, Infinity or numbers of more than 308 digits"
                what = numbers if kind in (int, float) else "objects, bytes or mixed lists"
                refused.append(f"{name!r} was left out of the metadata where it holds {what}")
    return refused


def kind_of(cells: Iterable[str]) -> Kind:
    """What a column holds: numbers or booleans only if every cell that is not empty is one."""
    kinds = {_kind_of_cell(cell) for cell in cells if cell}
    if kinds <= {"number", "no number"} and "number" in kinds:
        return "number"
    return "boolean" if kinds == {"boolean"} else "text"


def convert_cell(cell: str, kind: Kind) -> int | float | bool | str | None:
    """The value of a cell in a column of this kind; None for NaN and the like, stray text as it is."""
    found = _kind_of_cell(cell)
    if kind == "number" and found == "number":
        return float(cell) if "." in cell else int(cell)
    if kind == "number" and found == "no number":
        return None
    if kind == "boolean" and found == "boolean":
        return cell.lower() == "true"
    return cell


def _kind_of_cell(cell: str) -> str:
    if _NUMBER.fullmatch(cell):
        return "number"
    lower = cell.lower()
    return "boolean" if lower in ("true", "false") else "no number" if lower in _NO_NUMBERS else "text"


def storable_document(document: Document) -> Document:
    """The document without characters a UTF-8 column refuses; only called where a batch holds some."""
    metadata = {storable_text(name): storable_value(value)[1] for name, value in document.metadata.items()}
    id_, text, title = map(storable_text, (document.id, document.text, document.title))
    return Document(id_, text, title, metadata, marks=document.marks)
