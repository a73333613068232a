"""Which reader a file has, by its name, and what people call its kind."""

from __future__ import annotations

from pathlib import PurePath

from indexing.documents.unpack import unpacked_name

__all__ = ["EXTENSIONS", "NAMES", "TYPES", "format_of", "type_of"]

EXTENSIONS = {
    ".csv": "delimited",
    ".docm": "docx",
    ".docx": "docx",
    ".dotm": "docx",
    ".dotx": "docx",
    ".htm": "html",
    ".html": "html",
    ".jsonl": "jsonl",
    ".markdown": "markdown",
    ".md": "markdown",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pdf": "pdf",
    ".rst": "text",
    ".text": "text",
    ".tsv": "delimited",
    ".txt": "text",
}

NAMES: dict[str, str] = {}
"""Whole names, in lower case, of files that go without an extension."""

TYPES = {
    "delimited": "table",
    "docx": "Word",
    "html": "HTML",
    "jsonl": "JSON lines",
    "markdown": "Markdown",
    "parquet": "Parquet",
    "pdf": "PDF",
    "text": "text",
}
"""Words for people."""


def format_of(name: str) -> str | None:
    """The reader for a file name, or None; a compressed file has that of what is in it."""
    path = PurePath(unpacked_name(name))
    return EXTENSIONS.get(path.suffix.lower()) or NAMES.get(path.name.lower())


def type_of(format_: str) -> str:
    """What a person calls files of this reader."""
    return TYPES.get(format_, format_)
