"""Sparse embeddings in OpenSearch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stlib.sparse_encoder.search_engines.rank_features import (
    FIELD,
    MAPPINGS,
    features_of,
    hits_of,
    new_name,
    send_documents,
)
from stlib.sparse_encoder.search_engines.shared import (
    Hits,
    Words,
    check_words,
    import_client,
    need_corpus,
    search_all,
)

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

_SERVER = "http://localhost:9200"


def semantic_search_opensearch(
    query_embeddings_decoded: Words,
    corpus_embeddings_decoded: Words | None = None,
    corpus_index: tuple[OpenSearch, str] | None = None,
    top_k: int = 10,
    output_index: bool = False,
    **kwargs: Any,
) -> Any:
    """Search by dot products with OpenSearch: its ``neural_sparse`` query over fields of the type
    ``rank_features``, which keep weights with nine significant bits.

    Args:
        query_embeddings_decoded: for each query a list of (token, weight), of ``SparseEncoder.decode``.
        corpus_embeddings_decoded: the same of each document; a new index is made of it.
        corpus_index: client and name of an index of an earlier call, instead.
        top_k: results per query.
        output_index: return client and name, too.
        kwargs: for ``OpenSearch``, e.g. ``hosts=…`` or ``http_auth=…``; default: the server at
            http://localhost:9200.

    Returns:
        ``(results, seconds)`` or ``(results, seconds, (client, name))``.

    Raises:
        InvalidInput: the embeddings are not decoded ones.
        InvalidOption: there is neither corpus nor index.
        MissingDependency: ``opensearch-py`` is not installed.

    Example::

        queries = model.decode(model.encode_query(questions))
        documents = model.decode(model.encode_document(texts))
        results, seconds = semantic_search_opensearch(queries, documents)
    """
    package = import_client("opensearchpy", "opensearch-py", "OpenSearch")
    queries = check_words(query_embeddings_decoded, "query_embeddings_decoded")
    if corpus_index is None:
        given = need_corpus(corpus_embeddings_decoded, "corpus_embeddings_decoded")
        corpus_index = _make_index(package, check_words(given, "corpus_embeddings_decoded"), kwargs)
    client, name = corpus_index

    def ask(words: list[tuple[str, float]]) -> Hits:
        features = features_of(words)
        if not features:
            return []
        query = {"neural_sparse": {FIELD: {"query_tokens": features}}}
        return hits_of(client.search(index=name, body={"size": top_k, "query": query, "_source": False}))

    return search_all(queries, ask, corpus_index, output_index)


def _make_index(package: Any, corpus: Words, options: dict[str, Any]) -> tuple[OpenSearch, str]:
    client = package.OpenSearch(**{"hosts": _SERVER, **options})
    name = new_name()
    client.indices.create(index=name, body={"mappings": MAPPINGS})
    send_documents(corpus, name, lambda actions: package.helpers.bulk(client, actions))
    client.indices.refresh(index=name)
    return client, name
