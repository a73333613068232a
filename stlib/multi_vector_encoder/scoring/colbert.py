"""MaxSim over batches in which each query has as many documents: queries ``[q, s, d]``, documents ``[q, n, t,
d]``.

Masks are ``[q, s]`` and ``[q, n, t]``; without one, rows of zeros are padding. Scores are float32.
``chunk_elements`` and ``length_normalize`` are those of :func:`stlib.util.maxsim`; the ``mean_…`` forms are
the same functions with other defaults.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stlib.errors import InvalidInput
from stlib.util.late_interaction import maxsim, maxsim_pairwise, score_pairs
from stlib.util.tensor import to_tensor
from stlib.util.token_rows import TokenRows


def colbert_scores(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
) -> Tensor:
    """Every query with every document, ``[q, q * n]``: column ``j * n + k`` is document ``k`` of query ``j``,
    so that the first document of query ``i`` is in column ``i * n``.
    """
    documents, mask = in_one_row(documents_embeddings, documents_mask)
    return maxsim(
        to_tensor(queries_embeddings), documents, queries_mask, mask, chunk_elements, length_normalize
    )


def colbert_scores_pairwise(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
) -> Tensor:
    """Query i with document i of ``[q, t, d]``: ``[q]``."""
    return maxsim_pairwise(
        queries_embeddings,
        documents_embeddings,
        queries_mask,
        documents_mask,
        chunk_elements,
        length_normalize,
    )


def colbert_kd_scores(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
) -> Tensor:
    """Each query with its own documents, ``[q, n]``, as distillation compares them with a teacher."""
    documents, mask = in_one_row(documents_embeddings, documents_mask)
    queries = TokenRows(to_tensor(queries_embeddings), queries_mask, "queries_embeddings")
    n_ways = len(documents) // max(len(queries), 1)
    if len(queries) * n_ways != len(documents):
        raise InvalidInput(
            f"there are {len(queries)} queries and {len(documents)} documents; each needs as many"
        )
    query_of = [i // n_ways for i in range(len(documents))]
    rows = TokenRows(documents, mask, "documents_embeddings")
    return score_pairs(queries, rows, query_of, chunk_elements, length_normalize).view(len(queries), n_ways)


def mean_colbert_scores(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
) -> Tensor:
    """:func:`colbert_scores` divided by the number of each query's tokens."""
    return colbert_scores(
        queries_embeddings,
        documents_embeddings,
        queries_mask,
        documents_mask,
        chunk_elements,
        length_normalize,
    )


def mean_colbert_scores_pairwise(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
) -> Tensor:
    """:func:`colbert_scores_pairwise` divided by the number of each query's tokens."""
    return colbert_scores_pairwise(
        queries_embeddings,
        documents_embeddings,
        queries_mask,
        documents_mask,
        chunk_elements,
        length_normalize,
    )


def mean_colbert_kd_scores(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
) -> Tensor:
    """:func:`colbert_kd_scores` divided by the number of each query's tokens."""
    return colbert_kd_scores(
        queries_embeddings,
        documents_embeddings,
        queries_mask,
        documents_mask,
        chunk_elements,
        length_normalize,
    )


def in_one_row(documents: Any, mask: Any) -> tuple[Tensor, Tensor | None]:
    """Documents ``[q, n, t, d]`` as ``[q * n, t, d]``, and their mask alike."""
    documents = to_tensor(documents)
    if documents.ndim != 4:
        raise InvalidInput(
            f"documents have the shape {tuple(documents.shape)}; give [queries, documents of each, tokens, d]"
        )
    if mask is not None:
        mask = to_tensor(mask)
        mask = mask.reshape(-1, mask.shape[-1])
    return documents.flatten(0, 1), mask
