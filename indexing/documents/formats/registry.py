"""Which reader a file has, by its name, and what people call its kind."""

from __future__ import annotations

from pathlib import PurePath

from indexing.documents.unpack import unpacked_name

__all__ = ["EXTENSIONS", "NAMES", "TYPES", "format_of", "type_of"]

EXTENSIONS = {
    ".awk": "code",
    ".bash": "code",
    ".bat": "code",
    ".c": "code",
    ".cc": "code",
    ".cjs": "code",
    ".clj": "code",
    ".cljs": "code",
    ".cmake": "code",
    ".cmd": "code",
    ".cpp": "code",
    ".cs": "code",
    ".css": "code",
    ".csv": "delimited",
    ".cts": "code",
    ".cxx": "code",
    ".dart": "code",
    ".docm": "docx",
    ".docx": "docx",
    ".dotm": "docx",
    ".dotx": "docx",
    ".el": "code",
    ".eml": "mail",
    ".emlx": "mail",
    ".erl": "code",
    ".ex": "code",
    ".exs": "code",
    ".f90": "code",
    ".fish": "code",
    ".fs": "code",
    ".gemspec": "code",
    ".glsl": "code",
    ".go": "code",
    ".gradle": "code",
    ".graphql": "code",
    ".groovy": "code",
    ".h": "code",
    ".hh": "code",
    ".hpp": "code",
    ".hs": "code",
    ".htm": "html",
    ".html": "html",
    ".hxx": "code",
    ".inl": "code",
    ".ipp": "code",
    ".java": "code",
    ".jl": "code",
    ".js": "code",
    ".jsonl": "jsonl",
    ".jsx": "code",
    ".ksh": "code",
    ".kt": "code",
    ".kts": "code",
    ".less": "code",
    ".lisp": "code",
    ".lua": "code",
    ".m": "code",
    ".markdown": "markdown",
    ".mbox": "mail",
    ".mbx": "mail",
    ".md": "markdown",
    ".mht": "mail",
    ".mhtml": "mail",
    ".mjs": "code",
    ".ml": "code",
    ".mli": "code",
    ".mm": "code",
    ".msg": "msg",
    ".mts": "code",
    ".ndjson": "jsonl",
    ".nim": "code",
    ".parquet": "parquet",
    ".pas": "code",
    ".pdf": "pdf",
    ".php": "code",
    ".pl": "code",
    ".pm": "code",
    ".proto": "code",
    ".ps1": "code",
    ".pxd": "code",
    ".py": "code",
    ".pyi": "code",
    ".pyw": "code",
    ".pyx": "code",
    ".r": "code",
    ".rake": "code",
    ".rb": "code",
    ".rs": "code",
    ".rst": "text",
    ".sass": "code",
    ".sc": "code",
    ".scala": "code",
    ".scm": "code",
    ".scss": "code",
    ".sh": "code",
    ".sql": "code",
    ".svelte": "code",
    ".swift": "code",
    ".tcl": "code",
    ".text": "text",
    ".tf": "code",
    ".ts": "code",
    ".tsv": "delimited",
    ".tsx": "code",
    ".txt": "text",
    ".vb": "code",
    ".vim": "code",
    ".vue": "code",
    ".zig": "code",
    ".zsh": "code",
}

NAMES: dict[str, str] = {}
"""Whole names, in lower case, of files that go without an extension."""

TYPES = {
    "code": "source code",
    "delimited": "table",
    "docx": "Word",
    "html": "HTML",
    "jsonl": "JSON lines",
    "mail": "mail",
    "markdown": "Markdown",
    "msg": "mail",
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
