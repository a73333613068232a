"""Documents in, answers out: durable, searchable collections.

    from indexing import Collection

    collection = Collection.create("notes")
    collection.add([{"id": "1", "text": "Bread rises because yeast makes gas."}])
    print(collection.search("why does dough grow")[0].id)

SQL holds the truth (documents, chunks, quantised codes); vector and keyword indexes are views of it that can
be thrown away and rebuilt. Importing this package loads nothing heavy: names are resolved when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexing.collection import AddReport, Collection
    from indexing.documents import ChunkSettings, Document, Skipped
    from indexing.search.results import Result, SearchResults, Snippet
    from indexing.upkeep.receipt import Receipt
    from indexing.upkeep.verify import VerifyReport

_WHERE = {
    "AddReport": "indexing.collection",
    "ChunkSettings": "indexing.documents",
    "Collection": "indexing.collection",
    "Document": "indexing.documents",
    "Receipt": "indexing.upkeep.receipt",
    "Result": "indexing.search.results",
    "SearchResults": "indexing.search.results",
    "Skipped": "indexing.documents",
    "Snippet": "indexing.search.results",
    "VerifyReport": "indexing.upkeep.verify",
}

__all__ = [
    "AddReport",
    "ChunkSettings",
    "Collection",
    "Document",
    "Receipt",
    "Result",
    "SearchResults",
    "Skipped",
    "Snippet",
    "VerifyReport",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
