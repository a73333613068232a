"""Documents: reading them from files, and cutting their text into passages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexing.documents.formats import EXTENSIONS
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.reader import ReadReport, read_paths

if TYPE_CHECKING:
    from indexing.documents.chunk import ChunkSettings, chunk_documents, chunk_spans

__all__ = [
    "EXTENSIONS",
    "ChunkSettings",
    "Document",
    "Item",
    "ReadReport",
    "Skipped",
    "chunk_documents",
    "chunk_spans",
    "read_paths",
]

_CHUNKING = ("ChunkSettings", "chunk_documents", "chunk_spans")


def __getattr__(name: str) -> Any:
    # The process that parses files imports this package and has no use for numpy.
    if name in _CHUNKING:
        from indexing.documents import chunk

        return getattr(chunk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
