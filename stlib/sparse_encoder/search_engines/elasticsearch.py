"""Sparse embeddings in Elasticsearch."""

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
    from elasticsearch import Elasticsearch

_SERVER = "http://localhost:9200"


def semantic_search_elasticsearch(
    query_embeddings_decoded: Words,
    corpus_embeddings_decoded: Words | None = None,
    corpus_index: tuple[Elasticsearch, str] | None = None,
    top_k: int = 10,
    output_index: bool = False,
    **kwargs: Any,
) -> Any:
    """Search by dot products with Elasticsearch, which keeps weights with nine significant bits.

    The weights of words are features of the type ``rank_features``, and each word of a query is a
    ``rank_feature`` clause with the function ``linear``, so that scores are those of the model.
    (Sentence Transformers asks for ``saturation``, whose scores and order are others.)

    Args:
        query_embeddings_decoded: for each query a list of (token, weight), of ``SparseEncoder.decode``.
        corpus_embeddings_decoded: the same of each document; a new index is made of it.
        corpus_index: client and name of an index of an earlier call, instead.
        top_k: results per query.
        output_index: return client and name, too.
        kwargs: for ``Elasticsearch``, e.g. ``hosts=…`` or ``api_key=…``; default: the server at
            http://localhost:9200.

    Returns:
        ``(results, seconds)`` or ``(results, seconds, (client, name))``.

    Raises:
        InvalidInput: the embeddings are not decoded ones.
        InvalidOption: there is neither corpus nor index.
        MissingDependency: ``elasticsearch`` is not installed.

    Example::

        queries = model.decode(model.encode_query(questions))
        documents = model.decode(model.encode_document(texts))
        results, seconds = semantic_search_elasticsearch(queries, documents)
    """
    package = import_client("elasticsearch", "elasticsearch", "Elasticsearch")
    queries = check_words(query_embeddings_decoded, "query_embeddings_decoded")
    if corpus_index is None:
        given = need_corpus(corpus_embeddings_decoded, "corpus_embeddings_decoded")
        corpus_index = _make_index(package, check_words(given, "corpus_embeddings_decoded"), kwargs)
    client, name = corpus_index

    def ask(words: list[tuple[str, float]]) -> Hits:
        clauses = [
            {"rank_feature": {"field": f"{FIELD}.{word}", "linear": {}, "boost": weight}}
            for word, weight in features_of(words).items()
        ]
        if not clauses:  # would find every document
            return []
        query = {"bool": {"should": clauses, "minimum_should_match": 1}}
        return hits_of(client.search(index=name, query=query, size=top_k, source=False))

    return search_all(queries, ask, corpus_index, output_index)


def _make_index(package: Any, corpus: Words, options: dict[str, Any]) -> tuple[Elasticsearch, str]:
    from elasticsearch.helpers import bulk

    elsewhere = "hosts" in options or "cloud_id" in options
    client = package.Elasticsearch(**(options if elsewhere else {"hosts": _SERVER, **options}))
    name = new_name()
    client.indices.create(index=name, mappings=MAPPINGS)
    send_documents(corpus, name, lambda actions: bulk(client, actions))
    client.indices.refresh(index=name)
    return client, name
