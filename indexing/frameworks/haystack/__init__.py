"""Haystack: a document store over a collection, and components that retrieve from it.

    from indexing.frameworks.haystack import StlibDocumentStore, StlibEmbeddingRetriever, StlibTextRetriever

    store = StlibDocumentStore("notes")                           # vectors by the bundled model
    store = StlibDocumentStore("notes-768", embedding_dim=768)    # vectors of the documents' embeddings

Needs the package haystack-ai. Filters mean what they mean to Haystack's store in memory.
"""

from __future__ import annotations

from indexing.frameworks.haystack.document_store import StlibDocumentStore
from indexing.frameworks.haystack.retrievers import StlibEmbeddingRetriever, StlibTextRetriever

__all__ = ["StlibDocumentStore", "StlibEmbeddingRetriever", "StlibTextRetriever"]
