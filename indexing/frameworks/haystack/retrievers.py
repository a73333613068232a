"""The components that retrieve. See `indexing.frameworks.haystack`."""

from __future__ import annotations

from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from indexing.frameworks.haystack.document_store import Filters, StlibDocumentStore

__all__ = ["StlibEmbeddingRetriever", "StlibTextRetriever"]


@component
class StlibEmbeddingRetriever:
    """Retrieves by the embedding of a question, and in mode "hybrid" by its words too."""

    def __init__(
        self,
        document_store: StlibDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        mode: str = "semantic",
        return_embedding: bool = False,
    ) -> None:
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.mode = mode
        self.return_embedding = return_embedding

    @component.output_types(documents=list[Document])
    def run(
        self,
        query_embedding: list[float],
        query: str | None = None,
        filters: Filters | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """`filters` and `top_k` in place of those of the component."""
        return {
            "documents": self.document_store.embedding_retrieval(
                query_embedding,
                query=query,
                filters=filters or self.filters,
                top_k=top_k or self.top_k,
                mode=self.mode,
                return_embedding=self.return_embedding,
            )
        }

    def to_dict(self) -> dict[str, Any]:
        return _described(self, mode=self.mode)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StlibEmbeddingRetriever:
        retriever: StlibEmbeddingRetriever = default_from_dict(cls, _with_store(data))
        return retriever


@component
class StlibTextRetriever:
    """Retrieves by a question: its meaning and its words, by the collection's model; by words alone where
    documents bring their embeddings.
    """

    def __init__(
        self,
        document_store: StlibDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        mode: str | None = None,
        return_embedding: bool = False,
    ) -> None:
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.mode = mode
        self.return_embedding = return_embedding

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: Filters | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """`filters` and `top_k` in place of those of the component."""
        return {
            "documents": self.document_store.text_retrieval(
                query,
                filters=filters or self.filters,
                top_k=top_k or self.top_k,
                mode=self.mode,
                return_embedding=self.return_embedding,
            )
        }

    def to_dict(self) -> dict[str, Any]:
        return _described(self, mode=self.mode)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StlibTextRetriever:
        retriever: StlibTextRetriever = default_from_dict(cls, _with_store(data))
        return retriever


def _described(retriever: Any, **more: Any) -> dict[str, Any]:
    described: dict[str, Any] = default_to_dict(
        retriever,
        document_store=retriever.document_store.to_dict(),
        filters=retriever.filters,
        top_k=retriever.top_k,
        return_embedding=retriever.return_embedding,
        **more,
    )
    return described


def _with_store(data: dict[str, Any]) -> dict[str, Any]:
    given = dict(data["init_parameters"])
    given["document_store"] = StlibDocumentStore.from_dict(given["document_store"])
    return {**data, "init_parameters": given}
