"""Keyword search: BM25 over documents, in immutable snapshots."""

from __future__ import annotations

from indexing.lexical.analysis import analyze
from indexing.lexical.tantivy_index import LexicalHits, LexicalSnapshot, LexicalWriter

__all__ = ["LexicalHits", "LexicalSnapshot", "LexicalWriter", "analyze"]
