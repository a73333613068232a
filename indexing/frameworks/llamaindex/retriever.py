"""The retriever. See `indexing.frameworks.llamaindex`."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from indexing.collection import Collection
from indexing.frameworks.llamaindex.nodes import is_node, node_of, node_of_passage
from indexing.frameworks.store import score_of
from indexing.names import SERVING_RERANKER
from indexing.search.filter_spelling import Given

__all__ = ["StlibRetriever"]


class StlibRetriever(BaseRetriever):
    """What a collection answers, as nodes: those that a vector store put there, of other documents the
    passage that matched best, with id, title and metadata.

    Args:
        collection: whose model makes vectors of questions, unless `mode` is "keyword".
        similarity_top_k: how many nodes.
        mode, filter, rerank: as for `Collection.search`.
    """

    def __init__(
        self,
        collection: Collection,
        similarity_top_k: int = 10,
        *,
        mode: str = "hybrid",
        filter: Given | None = None,
        rerank: Any = SERVING_RERANKER,
        **given: Any,
    ) -> None:
        super().__init__(**given)
        self._collection = collection
        self._k = similarity_top_k
        self._mode = mode
        self._filter = filter
        self._rerank = rerank

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._collection.search(
            query_bundle.query_str,
            self._k,
            mode=self._mode,
            filter=self._filter,
            vector=query_bundle.embedding if self._collection.own_vectors is not None else None,
            rerank=self._rerank,
        )
        return [
            NodeWithScore(
                node=node_of(one) if is_node(one) else node_of_passage(one), score=score_of(one, self._mode)
            )
            for one in found
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
