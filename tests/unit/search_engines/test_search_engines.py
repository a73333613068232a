"""Search engines of others find what multiplying finds: two of them run here, two by their protocol."""

from __future__ import annotations

import sys

import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.sparse_encoder import search_engines

ALL = [
    search_engines.semantic_search_qdrant,
    search_engines.semantic_search_elasticsearch,
    search_engines.semantic_search_opensearch,
    search_engines.semantic_search_seismic,
]
CLIENTS = dict(zip(ALL, ("qdrant_client", "elasticsearch", "opensearchpy", "seismic"), strict=True))
PACKAGES = dict(zip(ALL, ("qdrant-client", "elasticsearch", "opensearch-py", "pyseismic-lsr"), strict=True))


def need(search) -> None:
    pytest.importorskip(
        CLIENTS[search], reason=f"{PACKAGES[search]} is missing; run: pip install '.[engines]'"
    )


# -- Qdrant, in this process


def test_qdrant_finds_what_multiplying_finds(vectors, same_hits):
    need(ALL[0])
    queries, documents = vectors.queries.to_sparse(), vectors.documents.to_sparse()
    found, seconds, index = search_engines.semantic_search_qdrant(
        queries, documents, top_k=7, output_index=True, location=":memory:"
    )
    same_hits(found, vectors.expected(7))
    assert seconds > 0
    # once more with the index, for one vector
    again, _ = search_engines.semantic_search_qdrant(
        vectors.queries[1].to_sparse(), corpus_index=index, top_k=3
    )
    same_hits(again, vectors.expected(3)[1:2])


def test_qdrant_takes_more_documents_than_go_into_one_batch(monkeypatch, vectors, same_hits):
    need(ALL[0])
    monkeypatch.setattr("stlib.sparse_encoder.search_engines.shared.BATCH", 9)
    found, _ = search_engines.semantic_search_qdrant(
        vectors.queries.to_sparse(), vectors.documents.to_sparse(), top_k=5, location=":memory:"
    )
    same_hits(found, vectors.expected(5))


# -- Seismic, in this process


def test_seismic_finds_what_multiplying_finds(vectors, same_hits):
    need(ALL[3])
    queries, documents = vectors.decoded(vectors.queries), vectors.decoded(vectors.documents)
    # Nothing is cut from queries, documents and summaries, so that the search is exact.
    exact = {"query_cut": 100, "heap_factor": 1.0}
    found, seconds, index = search_engines.semantic_search_seismic(
        queries,
        documents,
        top_k=7,
        output_index=True,
        index_kwargs={"summary_energy": 1.0},
        search_kwargs=exact,
    )
    same_hits(found, vectors.expected(7), 2e-3)  # values are kept in half precision
    assert seconds > 0
    assert exact == {"query_cut": 100, "heap_factor": 1.0}
    again, _ = search_engines.semantic_search_seismic(
        queries[:2], corpus_index=index, top_k=3, search_kwargs=exact
    )
    same_hits(again, vectors.expected(3)[:2], 2e-3)


# -- servers, by the requests that their clients send


@pytest.mark.parametrize("search", ALL[1:3], ids=lambda search: search.__name__)
def test_servers_are_asked_for_dot_products(server, vectors, same_hits, search):
    need(search)
    queries, documents = vectors.decoded(vectors.queries), vectors.decoded(vectors.documents)
    found, seconds, index = search(queries, documents, top_k=7, output_index=True, hosts=server.address)
    same_hits(found, vectors.expected(7))
    assert seconds > 0
    name = index[1]
    mappings = {"properties": {"tokens": {"type": "rank_features"}, "id": {"type": "keyword"}}}
    (_, path, created), (_, bulk, lines), (_, refreshed, _), *asked = server.requests
    assert (path, created) == (f"/{name}", {"mappings": mappings})
    assert (bulk, refreshed) == ("/_bulk", f"/{name}/_refresh")
    assert [line["index"] for line in lines[::2]] == [{"_index": name, "_id": str(i)} for i in range(40)]
    assert lines[1]["tokens"] == {word.replace(".", "․"): weight for word, weight in documents[0]}
    assert [path for _, path, _ in asked] == [
        f"/{name}/_search"
    ] * 4  # nothing is asked for a query of nothing
    again, _ = search(queries[:2], corpus_index=index, top_k=3)
    same_hits(again, vectors.expected(3)[:2])


def test_the_query_of_elasticsearch(server):
    need(ALL[1])
    words = [[("sort", 1.5), ("e.g.", 0.25), ("none", 0.0)]]
    search_engines.semantic_search_elasticsearch(words, [[("sort", 2.0)]], top_k=4, hosts=server.address)
    assert server.requests[-1][2] == {
        "query": {
            "bool": {
                "should": [
                    {"rank_feature": {"field": "tokens.sort", "linear": {}, "boost": 1.5}},
                    {"rank_feature": {"field": "tokens.e․g․", "linear": {}, "boost": 0.25}},
                ],
                "minimum_should_match": 1,
            }
        },
        "size": 4,
        "_source": False,
    }


def test_the_query_of_opensearch(server):
    need(ALL[2])
    words = [[("sort", 1.5), ("e.g.", 0.25), ("none", 0.0)]]
    search_engines.semantic_search_opensearch(words, [[("sort", 2.0)]], top_k=4, hosts=server.address)
    assert server.requests[-1][2] == {
        "query": {"neural_sparse": {"tokens": {"query_tokens": {"sort": 1.5, "e․g․": 0.25}}}},
        "size": 4,
        "_source": False,
    }


# -- refusals


@pytest.mark.parametrize("search", ALL, ids=lambda search: search.__name__)
def test_missing_clients_and_corpora_are_named(monkeypatch, vectors, search):
    need(search)
    queries = vectors.queries.to_sparse() if search is ALL[0] else vectors.decoded(vectors.queries)
    with pytest.raises(InvalidOption, match=r"give corpus_embeddings.*, or a corpus_index"):
        search(queries)
    monkeypatch.setitem(sys.modules, CLIENTS[search], None)
    if search is ALL[0]:
        monkeypatch.setitem(sys.modules, "qdrant_client.models", None)
    with pytest.raises(MissingDependency, match=f"run: pip install {PACKAGES[search]}$"):
        search(queries, queries)


@pytest.mark.parametrize("search", ALL[1:], ids=lambda search: search.__name__)
@pytest.mark.parametrize("wrong", [[("a", 1.0)], [[("a",)]], torch.ones(1, 2), [["a"]]], ids=str)
def test_other_than_decoded_embeddings_are_refused(search, wrong):
    need(search)
    with pytest.raises(InvalidInput, match=r"^query_embeddings_decoded is .* as SparseEncoder\.decode makes"):
        search(wrong, [[("a", 1.0)]])
    with pytest.raises(InvalidInput, match=r"^corpus_embeddings_decoded is "):
        search([[("a", 1.0)]], wrong)


@pytest.mark.parametrize("wrong", [torch.ones(2, 3), [[("a", 1.0)]], torch.ones(2, 3, 1).to_sparse()])
def test_other_than_sparse_matrices_are_refused(wrong):
    need(ALL[0])
    with pytest.raises(InvalidInput, match=r"^query_embeddings (is|has) "):
        search_engines.semantic_search_qdrant(wrong, torch.ones(2, 3).to_sparse(), location=":memory:")
