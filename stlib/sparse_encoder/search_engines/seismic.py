"""Sparse embeddings in Seismic, an approximate index in memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from stlib.sparse_encoder.search_engines.shared import Hits, Words, check_words, import_client, need_corpus

if TYPE_CHECKING:
    from seismic import SeismicIndex

# How many words of a query are looked up, and how far below the worst result so far a block may be estimated
# and still be scored: the values of the authors' examples.
_SEARCH = {"query_cut": 10, "heap_factor": 0.7}


def semantic_search_seismic(
    query_embeddings_decoded: Words,
    corpus_embeddings_decoded: Words | None = None,
    corpus_index: SeismicIndex | None = None,
    top_k: int = 10,
    output_index: bool = False,
    index_kwargs: dict[str, Any] | None = None,
    search_kwargs: dict[str, Any] | None = None,
) -> Any:
    """Search by dot products with Seismic, approximately.

    Args:
        query_embeddings_decoded: for each query a list of (token, weight), of ``SparseEncoder.decode``.
        corpus_embeddings_decoded: the same of each document; a new index is made of it.
        corpus_index: an index of an earlier call, instead.
        top_k: results per query.
        output_index: return the index, too.
        index_kwargs: for ``SeismicIndex.build_from_dataset``, e.g. ``n_postings``, ``centroid_fraction``,
            ``min_cluster_size``, ``summary_energy``, ``nknn`` and ``num_threads``.
        search_kwargs: for ``SeismicIndex.batch_search``, e.g. ``query_cut`` (default: 10), ``heap_factor``
            (0.7), ``n_knn``, ``sorted`` and ``num_threads``.

    Returns:
        ``(results, seconds)`` or ``(results, seconds, index)``.

    Raises:
        InvalidInput: the embeddings are not decoded ones.
        InvalidOption: there is neither corpus nor index.
        MissingDependency: ``pyseismic-lsr`` is not installed.

    References:
        - Bruch et al., "Efficient Inverted Indexes for Approximate Retrieval over Learned Sparse
          Representations", SIGIR 2024: https://arxiv.org/abs/2404.18812

    Example::

        queries = model.decode(model.encode_query(questions))
        documents = model.decode(model.encode_document(texts))
        results, seconds = semantic_search_seismic(queries, documents)
    """
    seismic = import_client("seismic", "pyseismic-lsr", "Seismic")
    queries = check_words(query_embeddings_decoded, "query_embeddings_decoded")
    if corpus_index is None:
        given = need_corpus(corpus_embeddings_decoded, "corpus_embeddings_decoded")
        corpus = check_words(given, "corpus_embeddings_decoded")
        corpus_index = _make_index(seismic, corpus, index_kwargs or {})
    start = time.perf_counter()
    results = _search(seismic, corpus_index, queries, top_k, {**_SEARCH, **(search_kwargs or {})})
    seconds = time.perf_counter() - start
    return (results, seconds, corpus_index) if output_index else (results, seconds)


def _make_index(seismic: Any, corpus: Words, options: dict[str, Any]) -> SeismicIndex:
    dataset = seismic.SeismicDataset()
    for place, words in enumerate(corpus):
        dataset.add_document(str(place), *_arrays(seismic, words))
    return seismic.SeismicIndex.build_from_dataset(dataset, **options)


def _search(seismic: Any, index: Any, queries: Words, top_k: int, options: dict[str, Any]) -> list[Hits]:
    # Results come in any order, and a query without results without its name: so each is put to its place.
    found: list[Hits] = [[] for _ in queries]
    asked = {str(place): _arrays(seismic, words) for place, words in enumerate(queries) if words}
    if not asked:
        return found
    answers = index.batch_search(
        queries_ids=np.array(list(asked), dtype=seismic.get_seismic_string()),
        query_components=[words for words, _ in asked.values()],
        query_values=[weights for _, weights in asked.values()],
        k=top_k,
        **options,
    )
    for answer in answers:
        for query, score, document in answer:
            found[int(query)].append({"corpus_id": int(document), "score": score})
    return found


def _arrays(seismic: Any, words: list[tuple[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    names = np.array([str(word) for word, _ in words], dtype=seismic.get_seismic_string())
    return names, np.array([weight for _, weight in words], dtype=np.float32)
