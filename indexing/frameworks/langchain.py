"""LangChain: a `VectorStore` over a collection, a retriever of any, and `Embeddings` by one of our models.

    from indexing.frameworks.langchain import StlibEmbeddings, StlibRetriever, StlibVectorStore

    store = StlibVectorStore("notes")                             # vectors by the bundled model
    store = StlibVectorStore("notes-openai", OpenAIEmbeddings())  # vectors that are brought
    retriever = StlibRetriever(collection=Collection.open("docs"))  # of a collection that was made in any way

Needs the package langchain-core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from indexing.collection import Collection
from indexing.errors import BadInput
from indexing.frameworks.store import LazyCollection, delete_all, nearest_vectors, score_of
from indexing.models.encoders import load_encoder, normalise
from indexing.names import SERVING_RERANKER
from indexing.search.filter_spelling import Given
from indexing.search.results import Result

__all__ = ["StlibEmbeddings", "StlibRetriever", "StlibVectorStore"]


class StlibEmbeddings(Embeddings):
    """Vectors by a model, as collections make them: of length 1, a query by its own prompt or route."""

    def __init__(self, model: Any = None) -> None:
        """`model` as for `Collection.create`: a folder, a name, an encoder; None is the bundled model."""
        self._encoder = load_encoder(model)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._lists(self._encoder.encode_document(list(texts))) if texts else []

    def embed_query(self, text: str) -> list[float]:
        return self._lists(self._encoder.encode_query([text]))[0]

    @staticmethod
    def _lists(vectors: Any) -> list[list[float]]:
        lists: list[list[float]] = normalise(np.asarray(vectors, np.float32)).tolist()
        return lists


class StlibVectorStore(VectorStore):
    """A collection as a store of LangChain, made when the first documents come.

    Args:
        collection_name: of the collection.
        embedding: what makes the vectors; None leaves that to the collection's model.
        home, db: where collections are, as for `Collection.open`.
        model: of a new collection, where `embedding` is None.
        mode: of searches that say nothing else: "semantic", "hybrid" or "keyword".
        settings: of `Collection.create`, such as `precision` and `engine`.

    Searches take `filter` and `mode` as `Collection.search` does. Scores are cosines in semantic mode.
    """

    def __init__(
        self,
        collection_name: str = "langchain",
        embedding: Embeddings | None = None,
        *,
        home: Any = None,
        db: str | None = None,
        model: Any = None,
        mode: str = "semantic",
        **settings: Any,
    ) -> None:
        self._embedding = embedding
        self._mode = mode
        self._lazy = LazyCollection(
            collection_name,
            brings_vectors=embedding is not None,
            home=home,
            db=db,
            model=model,
            **settings,
        )

    @property
    def embeddings(self) -> Embeddings | None:
        return self._embedding

    @property
    def collection(self) -> Collection | None:
        """The collection itself; None while there is none."""
        return self._lazy.found()

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict] | None = None,
        *,
        ids: list[str] | None = None,
        **options: Any,
    ) -> StlibVectorStore:
        """A store with these texts; `options` of the constructor."""
        store = cls(embedding=embedding, **options)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_documents(
        self, documents: list[Document], ids: Sequence[str | None] | None = None, **_: Any
    ) -> list[str]:
        """Adds documents, or replaces those of the same id.

        Raises:
            BadInput: one that cannot be stored; those before it are.
        """
        given = [document.id for document in documents] if ids is None else list(ids)
        if len(given) != len(documents):
            raise BadInput(f"{len(given)} ids for {len(documents)} documents: give one for each")
        names = [id_ or str(uuid4()) for id_ in given]
        stored = [
            {"id": id_, "text": document.page_content, "metadata": document.metadata}
            for id_, document in zip(names, documents, strict=True)
        ]
        if not stored:
            return []
        if self._embedding is None:
            self._lazy.made().add(stored)
        else:
            vectors = self._embedding.embed_documents([document.page_content for document in documents])
            self._lazy.made(len(vectors[0])).add(stored, vectors=vectors)
        return names

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Deletes documents by their ids, all without; unknown ones are passed over."""
        if (collection := self._lazy.found()) is not None:
            if ids is None:
                delete_all(collection)
            else:
                collection.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        collection = self._lazy.found()
        found = {} if collection is None else collection.get(ids)
        return [
            Document(id=id_, page_content=found[id_].text, metadata=found[id_].metadata)
            for id_ in dict.fromkeys(ids)
            if id_ in found
        ]

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **options)]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        filter: Given | None = None,
        mode: str | None = None,
        **_: Any,
    ) -> list[tuple[Document, float]]:
        mode = mode or self._mode
        results = self._search(query, self._vector(query, mode), k, filter, mode)
        return [(_document(one), score_of(one, mode)) for one in results]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Given | None = None, **_: Any
    ) -> list[Document]:
        return [_document(one) for one in self._search(None, embedding, k, filter, "semantic")]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Given | None = None,
        **_: Any,
    ) -> list[Document]:
        collection = self._lazy.found()
        if collection is None:
            return []
        vector = self._vector(query, "semantic")
        if vector is None:
            vector = np.asarray(collection.encoder.encode_query([query]), np.float32)[0].tolist()
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, filter)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Given | None = None,
        **_: Any,
    ) -> list[Document]:
        results = self._search(None, embedding, max(k, fetch_k), filter, "semantic")
        collection = self._lazy.found()
        if collection is None or not results:
            return []
        query = np.asarray(embedding, np.float32)
        vectors = nearest_vectors(collection, [one.id for one in results], query)
        there = [one for one in results if one.id in vectors]
        chosen = maximal_marginal_relevance(query, [vectors[one.id] for one in there], lambda_mult, k)
        return [_document(there[place]) for place in chosen]

    def _search(
        self, query: str | None, vector: list[float] | None, k: int, filter: Given | None, mode: str
    ) -> list[Result]:
        collection = self._lazy.found()
        if collection is None:
            return []
        return collection.search(query, k, mode=mode, filter=filter, vector=vector).results

    def _vector(self, query: str, mode: str) -> list[float] | None:
        if self._embedding is None or mode == "keyword":
            return None
        return self._embedding.embed_query(query)

    def _select_relevance_score_fn(self) -> Any:
        """From a cosine, -1 to 1, to what LangChain calls relevance, 0 to 1."""
        return lambda score: (score + 1) / 2


class StlibRetriever(BaseRetriever):
    """What a collection answers: of each document the passage that matched best, with id, title and metadata.

    Attributes:
        collection: an open `Collection` whose model makes vectors of questions.
        k: how many; `invoke(question, k=…)` in place of it.
        mode, filter, rerank: as for `Collection.search`.
    """

    collection: Any
    k: int = 10
    mode: str = "hybrid"
    filter: Any = None
    rerank: Any = SERVING_RERANKER

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, k: int | None = None
    ) -> list[Document]:
        found = self.collection.search(
            query, k or self.k, mode=self.mode, filter=self.filter, rerank=self.rerank
        )
        return [_passage(one) for one in found]


def _passage(result: Result) -> Document:
    start, end = result.span or (0, len(result.text))
    metadata = {**({"title": result.title} if result.title else {}), **result.metadata}
    return Document(id=result.id, page_content=result.text[start:end], metadata=metadata)


def _document(result: Result) -> Document:
    return Document(id=result.id, page_content=result.text, metadata=result.metadata)
