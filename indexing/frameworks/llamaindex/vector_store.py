"""The vector store. See `indexing.frameworks.llamaindex`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from indexing.catalog.stored import StoredDocument
from indexing.collection import Collection
from indexing.errors import BadInput
from indexing.frameworks.llamaindex.nodes import fulfils, narrowed, node_of, stored
from indexing.frameworks.store import (
    LazyCollection,
    check_saved,
    delete_all,
    nearest_vectors,
    score_of,
    search_matching,
)
from indexing.search.results import Result

__all__ = ["StlibVectorStore"]

_MODES = {
    VectorStoreQueryMode.DEFAULT: "semantic",
    VectorStoreQueryMode.MMR: "semantic",
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.SEMANTIC_HYBRID: "hybrid",
    VectorStoreQueryMode.TEXT_SEARCH: "keyword",
    VectorStoreQueryMode.SPARSE: "keyword",
}
_MMR_FETCHED = 4  # times as many as are wanted


class StlibVectorStore(BasePydanticVectorStore):
    """A collection as a vector store, made when the first nodes come. It keeps the nodes too.

    Args:
        collection_name: of the collection.
        own_vectors: the collection's model makes the vectors, from the texts of nodes and of questions;
            embeddings of nodes are ignored then.
        home, db: where collections are, as for `Collection.open`.
        model: folder or name of the model of a new collection with `own_vectors`.
        precision, engine: of a new collection, as for `Collection.create`.

    Query modes: default, mmr, hybrid (and semantic_hybrid), text_search (and sparse). How much meaning and
    words count in hybrid mode is the collection's, and `alpha` has no say.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    collection_name: str
    own_vectors: bool
    home: str | None
    db: str | None
    model: str | None
    precision: str | None
    engine: str
    _lazy: LazyCollection = PrivateAttr()

    def __init__(
        self,
        collection_name: str = "llamaindex",
        *,
        own_vectors: bool = False,
        home: Any = None,
        db: str | None = None,
        model: str | None = None,
        precision: str | None = None,
        engine: str = "faiss",
    ) -> None:
        super().__init__(
            is_embedding_query=not own_vectors,
            collection_name=collection_name,
            own_vectors=own_vectors,
            home=None if home is None else str(home),
            db=db,
            model=model,
            precision=precision,
            engine=engine,
        )
        settings = {"engine": engine, **({} if precision is None else {"precision": precision})}
        self._lazy = LazyCollection(
            collection_name, brings_vectors=not own_vectors, home=home, db=db, model=model, **settings
        )

    @classmethod
    def class_name(cls) -> str:
        return "StlibVectorStore"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """As every component's.

        Raises:
            BadInput: the address of the database has a password in it.
        """
        check_saved(self.db)
        told: dict[str, Any] = super().to_dict(**kwargs)
        return told

    @property
    def client(self) -> Collection | None:
        """The collection itself; None while there is none."""
        return self._lazy.found()

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Adds nodes, or replaces those of the same id.

        Raises:
            BadInput: a node that cannot be stored.
        """
        if not nodes:
            return []
        rows = [stored(node) for node in nodes]
        if self.own_vectors:
            self._lazy.made().add(rows)
        else:
            vectors = [node.get_embedding() for node in nodes]
            self._lazy.made(len(vectors[0])).add(rows, vectors=vectors)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Deletes the nodes of a document."""
        if (collection := self._lazy.found()) is not None:
            narrow = {"ref_doc_id": ref_doc_id}  # as texts are compared there, maybe of others too
            found = [
                one.id for one in collection.documents(narrow) if one.metadata["ref_doc_id"] == ref_doc_id
            ]
            if found:
                collection.delete(found)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """In the order in which they were added."""
        return [node_of(one) for one in self._matching(node_ids, filters)]

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any
    ) -> None:
        """Deletes the nodes that `get_nodes` gives."""
        ids = [one.id for one in self._matching(node_ids, filters)]
        if ids and (collection := self._lazy.found()) is not None:
            collection.delete(ids)

    def clear(self) -> None:
        if (collection := self._lazy.found()) is not None:
            delete_all(collection)

    def query(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """
        Raises:
            BadInput: a mode that there is not, or one that needs a text or a vector which was not given.
        """
        if query.mode not in _MODES:
            allowed = ", ".join(mode.value for mode in _MODES)
            raise BadInput(f"query mode {query.mode.value!r}: use one of {allowed}")
        collection = self._lazy.found()
        if collection is None:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        mode, k = _MODES[query.mode], query.similarity_top_k
        if mode == "hybrid":
            k = query.hybrid_top_k or k
        if query.mode == VectorStoreQueryMode.MMR:
            found = self._search(collection, query, mode, _MMR_FETCHED * k)
            return self._diverse(collection, query, found, k, options.get("mmr_threshold"))
        found = self._search(collection, query, mode, k)
        return _result(found, [score_of(one, mode) for one in found])

    async def async_add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:
        return await asyncio.to_thread(self.add, nodes, **options)

    async def aquery(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        return await asyncio.to_thread(self.query, query, **options)

    def _search(self, collection: Collection, query: VectorStoreQuery, mode: str, k: int) -> list[Result]:
        vector = None if self.own_vectors or mode == "keyword" else query.query_embedding
        if mode != "keyword" and vector is None and not self.own_vectors:
            raise BadInput(f"query mode {query.mode.value!r} needs query_embedding")
        if query.query_str is None and (mode == "keyword" or vector is None):
            raise BadInput(f"query mode {query.mode.value!r} needs query_str")
        return search_matching(
            lambda k: collection.search(
                query.query_str, k, mode=mode, filter=narrowed(query.filters), vector=vector
            ),
            k,
            # An index that keeps no list of its nodes hands on an empty one.
            _chosen(query.node_ids or None, query.doc_ids or None, query.filters),
        )

    def _diverse(
        self,
        collection: Collection,
        query: VectorStoreQuery,
        found: list[Result],
        k: int,
        threshold: float | None,
    ) -> VectorStoreQueryResult:
        vector = None if self.own_vectors else query.query_embedding
        if vector is None:
            vector = np.asarray(collection.encoder.encode_query([query.query_str]))[0].tolist()
        vectors = nearest_vectors(collection, [one.id for one in found], np.asarray(vector, np.float32))
        similarities, ids = get_top_k_mmr_embeddings(
            vector,
            [vectors[id_].tolist() for id_ in vectors],
            similarity_top_k=k,
            embedding_ids=list(vectors),
            mmr_threshold=threshold if threshold is not None else query.mmr_threshold,
        )
        by_id = {one.id: one for one in found}
        return _result([by_id[id_] for id_ in ids], [float(one) for one in similarities])

    def _matching(self, node_ids: list[str] | None, filters: MetadataFilters | None) -> list[StoredDocument]:
        collection = self._lazy.found()
        if collection is None:
            return []
        matches = _chosen(node_ids, None, filters)
        documents = (
            collection.documents(narrowed(filters)) if node_ids is None else collection.get(node_ids).values()
        )
        return sorted((one for one in documents if matches(one)), key=lambda one: one.seq)


def _chosen(
    node_ids: list[str] | None, doc_ids: list[str] | None, filters: MetadataFilters | None
) -> Callable[[StoredDocument | Result], bool]:
    nodes = None if node_ids is None else set(node_ids)
    documents = None if doc_ids is None else set(doc_ids)
    return lambda one: (
        (nodes is None or one.id in nodes)
        and (documents is None or one.metadata.get("ref_doc_id") in documents)
        and fulfils(one.metadata, filters)
    )


def _result(found: list[Result], similarities: list[float]) -> VectorStoreQueryResult:
    return VectorStoreQueryResult(
        nodes=[node_of(one) for one in found], similarities=similarities, ids=[one.id for one in found]
    )
