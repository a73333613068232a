"""Sparse vectors in Qdrant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from torch import Tensor

from stlib.sparse_encoder.search_engines.shared import (
    Hits,
    batches,
    check_sparse,
    import_client,
    need_corpus,
    rows_of,
    search_all,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

_VECTOR = "text"
_SERVER = "http://localhost:6333"
# Arguments of the client that say where it searches.
_PLACES = ("location", "url", "host", "path")


def semantic_search_qdrant(
    query_embeddings: Tensor,
    corpus_embeddings: Tensor | None = None,
    corpus_index: tuple[QdrantClient, str] | None = None,
    top_k: int = 10,
    output_index: bool = False,
    **kwargs: Any,
) -> Any:
    """Search by dot products with Qdrant.

    Args:
        query_embeddings: a sparse COO tensor ``[q, d]``, or one vector ``[d]``.
        corpus_embeddings: a sparse COO tensor ``[n, d]``; a new collection is made of it.
        corpus_index: client and name of a collection of an earlier call, instead.
        top_k: results per query.
        output_index: return client and name, too.
        kwargs: for ``QdrantClient``, e.g. ``location=":memory:"`` to search in this process; default: the
            server at http://localhost:6333.

    Returns:
        ``(results, seconds)`` or ``(results, seconds, (client, name))``.

    Raises:
        InvalidInput: the embeddings are not sparse.
        InvalidOption: there is neither corpus nor index.
        MissingDependency: ``qdrant-client`` is not installed.

    Example::

        queries, documents = model.encode_query(questions), model.encode_document(texts)
        results, seconds, index = semantic_search_qdrant(
            queries, documents, output_index=True, location=":memory:"
        )
        semantic_search_qdrant(model.encode_query(["another"]), corpus_index=index)
    """
    models = import_client("qdrant_client.models", "qdrant-client", "Qdrant")
    queries = list(rows_of(check_sparse(query_embeddings, "query_embeddings")))
    if corpus_index is None:
        corpus = check_sparse(need_corpus(corpus_embeddings, "corpus_embeddings"), "corpus_embeddings")
        corpus_index = _make_collection(models, corpus, kwargs)
    client, name = corpus_index

    def ask(query: tuple[list[int], list[float]]) -> Hits:
        dimensions, weights = query
        if not dimensions:
            return []
        vector = models.SparseVector(indices=dimensions, values=weights)
        answer = client.query_points(name, query=vector, using=_VECTOR, limit=top_k, with_payload=False)
        return [{"corpus_id": hit.id, "score": hit.score} for hit in answer.points]

    return search_all(queries, ask, corpus_index, output_index)


def _make_collection(models: Any, corpus: Tensor, options: dict[str, Any]) -> tuple[QdrantClient, str]:
    from qdrant_client import QdrantClient

    client = QdrantClient(
        **(options if any(name in options for name in _PLACES) else {"url": _SERVER, **options})
    )
    name = f"sparse_collection_{uuid4().hex}"
    in_memory = models.SparseVectorParams(index=models.SparseIndexParams(on_disk=False))
    client.create_collection(name, vectors_config={}, sparse_vectors_config={_VECTOR: in_memory})
    rows = rows_of(corpus)
    for places in batches(len(corpus)):
        points = [
            models.PointStruct(
                id=place,
                payload={},
                vector={_VECTOR: models.SparseVector(indices=dimensions, values=weights)},
            )
            for place, (dimensions, weights) in zip(places, rows, strict=False)
        ]
        # The search that follows has to see them.
        client.upsert(name, points, wait=True)
    return client, name
