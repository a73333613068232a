"""LlamaIndex: a vector store over a collection, a retriever, and an embedding by one of our models.

    from indexing.frameworks.llamaindex import StlibEmbedding, StlibRetriever, StlibVectorStore

    store = StlibVectorStore("notes")                    # vectors that the index's embed_model makes
    index = VectorStoreIndex.from_vector_store(store, embed_model=StlibEmbedding())
    retriever = StlibRetriever(Collection.open("docs"))  # a collection that was made in any way

Needs the package llama-index-core. Filters mean what they mean to LlamaIndex's simple vector store, and may
stand in others.
"""

from __future__ import annotations

from indexing.frameworks.llamaindex.embedding import StlibEmbedding
from indexing.frameworks.llamaindex.retriever import StlibRetriever
from indexing.frameworks.llamaindex.vector_store import StlibVectorStore

__all__ = ["StlibEmbedding", "StlibRetriever", "StlibVectorStore"]
