"""Keyword search: BM25 over documents, in immutable snapshots."""

from __future__ import annotations

from indexing.lexical.analysis import analyze
from indexing.lexical.bm25 import LexicalHits
from indexing.lexical.reader import LexicalReader
from indexing.lexical.tail import LexicalTail, TailChange
from indexing.lexical.tantivy_index import LexicalSnapshot, LexicalWriter

__all__ = [
    "LexicalHits",
    "LexicalReader",
    "LexicalSnapshot",
    "LexicalTail",
    "LexicalWriter",
    "TailChange",
    "analyze",
]
