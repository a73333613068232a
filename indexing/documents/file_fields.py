"""What a file says of the documents in it: fields to filter by that no reader has to bring."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from indexing.documents.formats.registry import type_of
from indexing.documents.model import Document
from indexing.documents.source import SourceFile
from indexing.languages import language_of

__all__ = ["add_file_fields"]

_TABLES = frozenset(("delimited", "jsonl", "parquet", "sheets"))
_NO_LANGUAGE = frozenset(("code",))
_LOOKED_AT = 2000  # characters that tell the language


def add_file_fields(document: Document, file: SourceFile) -> Document:
    """The document with `path` (below the root that was given), `folder`, `name`, `type`, `size` (bytes),
    `modified` (ISO 8601, in UTC) and `lang` in its metadata, unless it brings fields of these names.

    A row of a table gets `path`, `folder` and `type`, because the others would say the same of a million
    rows; a document with an id of its own gets none.
    """
    if not file.gives_id(document.id):
        return document
    fields = _fields_of_file(file.name, file.format, file.size, file.modified)
    if file.format not in _TABLES | _NO_LANGUAGE and "lang" not in document.metadata:
        language = language_of(document.text[:_LOOKED_AT])
        fields = {**fields, "lang": language} if language else fields
    return replace(document, metadata={**fields, **document.metadata})


@lru_cache(maxsize=16)
def _fields_of_file(name: str, format_: str, size: int, modified: int) -> dict[str, Any]:
    path = PurePosixPath(name)
    fields: dict[str, Any] = {"path": name, "folder": str(path.parent), "type": type_of(format_)}
    if format_ in _TABLES:
        return fields
    fields |= {"name": path.name, "size": size}
    if modified and (moment := _moment(modified // 10**9)):
        fields["modified"] = moment
    return fields


def _moment(seconds: int) -> str | None:
    """ISO 8601; None for what no calendar has, as a broken clock or archive may leave it."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")
    except (OverflowError, OSError, ValueError):
        return None
