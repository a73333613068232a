"""XTR: a query's token counts only where it would have been retrieved, among the best of all tokens of a
batch.

Source: Lee et al., "Rethinking the Role of Token Retrieval in Multi-Vector Retrieval", NeurIPS 2023, equation
    5. Shapes are those of :mod:`stlib.multi_vector_encoder.scoring.colbert`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stlib.errors import InvalidOption
from stlib.multi_vector_encoder.scoring.colbert import in_one_row
from stlib.util.late_interaction import EMPTY_DOCUMENT
from stlib.util.tensor import to_tensor


def xtr_scores(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    top_k: int = 256,
    chunk_elements: int | None = None,
) -> Tensor:
    """Every query with every document, ``[q, q * n]``, in the order of
    :func:`~stlib.multi_vector_encoder.scoring.colbert_scores`.

    Each token of a query finds the ``top_k`` tokens most like it among those of all documents. A document's
    score is the sum of the best that the query's tokens found in it, divided by how many found something in
    it. The score of a pair thus depends on the batch.

    Args:
        queries_embeddings: ``[q, s, d]``.
        documents_embeddings: ``[q, n, t, d]``.
        queries_mask: ``[q, s]``; default: rows that are not zero.
        documents_mask: ``[q, n, t]``; default: rows that are not zero.
        top_k: tokens that each token of a query finds.
        chunk_elements: similarities that are held at a time; default: all.

    Raises:
        InvalidOption: ``top_k`` is not a positive number.
    """
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise InvalidOption(f"top_k is {top_k!r}; use a number from 1 on")
    documents, documents_mask = in_one_row(documents_embeddings, documents_mask)
    queries, documents = _as_floats(to_tensor(queries_embeddings)), _as_floats(documents)
    asked = queries.any(dim=-1) if queries_mask is None else to_tensor(queries_mask)
    known = (documents.any(dim=-1) if documents_mask is None else documents_mask).bool()
    owners = known.nonzero()[:, 0]
    best, found = _retrieve(queries.flatten(0, 1), documents[known], top_k, chunk_elements)
    shape = (*queries.shape[:2], len(documents))
    values, hit = _best_of_each(best.float(), owners[found], shape)
    weights = asked.to(values.dtype).unsqueeze(2)
    counted = (hit & asked.bool().unsqueeze(2)).sum(dim=1).clamp(min=1)
    scores = (values * weights).sum(dim=1) / counted
    return scores.masked_fill(~known.any(dim=1), EMPTY_DOCUMENT)


def xtr_kd_scores(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    top_k: int = 256,
    chunk_elements: int | None = None,
) -> Tensor:
    """Of :func:`xtr_scores` those of each query with its own documents, ``[q, n]``."""
    documents = to_tensor(documents_embeddings)
    n, n_ways = documents.shape[:2]
    scores = xtr_scores(queries_embeddings, documents, queries_mask, documents_mask, top_k, chunk_elements)
    own = torch.arange(n * n_ways, device=scores.device).view(n, n_ways)
    return scores.gather(1, own)


def xtr_scores_pairwise(
    queries_embeddings: Any,
    documents_embeddings: Any,
    queries_mask: Any = None,
    documents_mask: Any = None,
    top_k: int = 256,
    chunk_elements: int | None = None,
) -> Tensor:
    """Query i with document i of ``[q, t, d]``: ``[q]``; the other documents of the batch compete."""
    documents = to_tensor(documents_embeddings)
    mask = None if documents_mask is None else to_tensor(documents_mask)
    if documents.ndim == 3:
        documents = documents.unsqueeze(1)
    if mask is not None and mask.ndim == 2:
        mask = mask.unsqueeze(1)
    return xtr_kd_scores(queries_embeddings, documents, queries_mask, mask, top_k, chunk_elements).squeeze(-1)


class XTRScores:
    """:func:`xtr_scores` with its options, for the ``similarity_fct`` of a loss."""

    def __init__(self, top_k: int = 256, *, chunk_elements: int | None = None) -> None:
        self.top_k = top_k
        self.chunk_elements = chunk_elements

    def get_config_dict(self) -> dict[str, int | None]:
        """The options."""
        return {"top_k": self.top_k, "chunk_elements": self.chunk_elements}

    def __call__(
        self,
        queries_embeddings: Any,
        documents_embeddings: Any,
        queries_mask: Any = None,
        documents_mask: Any = None,
    ) -> Tensor:
        masks = queries_mask, documents_mask
        return xtr_scores(queries_embeddings, documents_embeddings, *masks, self.top_k, self.chunk_elements)


class XTRKDScores(XTRScores):
    """:func:`xtr_kd_scores` with its options, for the ``similarity_fct`` of a loss."""

    def __call__(
        self,
        queries_embeddings: Any,
        documents_embeddings: Any,
        queries_mask: Any = None,
        documents_mask: Any = None,
    ) -> Tensor:
        masks = queries_mask, documents_mask
        return xtr_kd_scores(
            queries_embeddings, documents_embeddings, *masks, self.top_k, self.chunk_elements
        )


def _retrieve(queries: Tensor, tokens: Tensor, top_k: int, limit: int | None) -> tuple[Tensor, Tensor]:
    """Similarities and places ``[q, k]`` of the ``tokens [r, d]`` most like each of ``queries [q, d]``."""
    step = len(tokens) if limit is None else max(limit // max(len(queries) + queries.shape[1], 1), 1)
    values, places = [], []
    for start in range(0, len(tokens), max(step, 1)):
        similarities = queries @ tokens[start : start + step].T
        best, where = similarities.topk(min(top_k, similarities.shape[1]), dim=1, sorted=False)
        values.append(best)
        places.append(where + start)
    if not values:
        return queries.new_zeros(len(queries), 0), torch.zeros(len(queries), 0, dtype=torch.long)
    if len(values) == 1:
        return values[0], places[0]
    found, place = torch.cat(values, dim=1), torch.cat(places, dim=1)
    best, where = found.topk(min(top_k, found.shape[1]), dim=1, sorted=False)
    return best, place.gather(1, where)


def _best_of_each(values: Tensor, owners: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """The best ``[q, s, documents]`` that each token found in each document, 0 where it found nothing; and
    where it found something. ``values [q * s, k]`` lie in the documents ``owners [q * s, k]``.
    """
    empty = values.new_zeros(len(values), shape[2])
    best = empty.scatter_reduce(1, owners, values, "amax", include_self=False)
    hit = torch.zeros_like(empty, dtype=torch.bool).scatter(1, owners, True)
    return best.view(shape), hit.view(shape)


def _as_floats(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_floating_point() else tensor.float()
