"""One JSON object per line: `id`/`_id`, a text field, `title`, and metadata. BEIR's corpus.jsonl is this.

Metadata is what the object holds besides, and the entries of its own `metadata` object, as `stlib export`
writes them: null is a value there. A broken line is skipped with its number; the lines after it are read. NaN
and Infinity, which many programs write although JSON has no such numbers, are left out of the metadata and
said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from indexing.documents.fields import TEXT_FIELDS, Fields, NoText, choose_fields, flat_metadata, make_document
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, text_lines

__all__ = ["read"]

_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}


def read(file: SourceFile) -> Iterator[Item]:
    rows = _Rows(file)
    for line, text in enumerate(text_lines(file), start=1):
        if not text.isspace():
            yield rows.item(line, text.rstrip())


class _Rows:
    """Turns lines into documents; remembers the choice of fields for each set of names seen."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._shapes: dict[tuple[str, ...], Fields] = {}
        self._decode = json.JSONDecoder().decode

    def item(self, line: int, text: str) -> Item:
        try:
            return self._document(line, self._decode(text))
        except json.JSONDecodeError as error:
            reason = f"not valid JSON: {error.msg} at column {error.colno}"
        except RecursionError:
            reason = "not usable JSON: nested too deeply"
        except ValueError:  # Python reads no longer ones, because that takes time to the square
            reason = "not usable JSON: a number of more than 4,300 digits"
        except NoText as error:
            reason = str(error)
        return Skipped(self._file.source, line, reason)

    def _document(self, line: int, row: Any) -> Document:
        if type(row) is not dict:
            raise NoText(f"expected a JSON object, found {_KINDS.get(type(row), 'null')}")
        fields = self._fields(row)
        text = row[fields.text[0]] if fields.text else None
        if text is not None and type(text) is not str:
            raise NoText(f'"{fields.text[0]}" is {_KINDS.get(type(text), "an object")}, expected a string')
        if not fields.text and not fields.title:
            raise NoText(
                f"no text field: expected one of {', '.join(TEXT_FIELDS)}; found {_list_fields(row)}"
            )
        metadata: dict[str, Any] = {}
        inner = row.get("metadata")
        if type(inner) is dict and "metadata" in fields.rest:
            refused = flat_metadata(row, tuple(name for name in fields.rest if name != "metadata"), metadata)
            refused += flat_metadata(inner, tuple(inner), metadata, keep_none=True)
        else:
            refused = flat_metadata(row, fields.rest, metadata)
        for what in refused:
            self._file.note(f"field {what}")
        key = row[fields.id] if fields.id else None
        title = row[fields.title] if fields.title else ""
        return make_document(key, f"{self._file.name}#{line}", title, text or "", metadata)

    def _fields(self, row: dict[str, Any]) -> Fields:
        names = tuple(row)
        fields = self._shapes.get(names)
        if fields is None:
            fields = choose_fields(names)
            if len(self._shapes) < 1000:  # rows of ever new names must not fill the memory
                self._shapes[names] = fields
        return fields


def _list_fields(row: dict[str, Any]) -> str:
    names = list(row)[:8]
    return (", ".join(names) + (", …" if len(row) > len(names) else "")) or "nothing"
