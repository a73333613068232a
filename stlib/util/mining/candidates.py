"""The documents nearest to each query."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.util.exact_search import top_k_tensors
from stlib.util.mining.pairs import Pairs
from stlib.util.similarity import cos_sim, dot_score, euclidean_sim, manhattan_sim, pytorch_cos_sim
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

# Scores of so many queries with a block of documents stay in the cache.
_QUERIES_AT_A_TIME = 256
_PAIRS_AT_A_TIME = 65536

# A search: queries [q, d] and k to scores [q, k], best first, and positions [q, k].
Search = Callable[[np.ndarray, int], tuple[Tensor, Tensor]]
ScoreFunction = Callable[[Any, Any], Tensor]

_INNER_PRODUCT = "METRIC_INNER_PRODUCT"
_METRICS: dict[tuple[ScoreFunction, ...], str] = {
    (cos_sim, pytorch_cos_sim, dot_score): _INNER_PRODUCT,
    (euclidean_sim,): "METRIC_L2",
    (manhattan_sim,): "METRIC_L1",
}


def similarities(model: Any) -> tuple[ScoreFunction, ScoreFunction]:
    """How a model compares all rows with all rows, and aligned rows."""
    name = getattr(model, "similarity_fn_name", None)
    if name is None and hasattr(model, "similarity"):
        return model.similarity, model.similarity_pairwise
    name = SimilarityFunction.COSINE if name is None else name
    return SimilarityFunction.to_similarity_fn(name), SimilarityFunction.to_similarity_pairwise_fn(name)


def search_for(model: Any, documents: np.ndarray, use_faiss: bool) -> Search:
    """A search in documents by the model's similarity; the result has always k columns.

    Documents whose vectors hold nan or infinity are not found.

    Raises:
        InvalidInput: all documents are of that kind.
        InvalidOption: FAISS has no order that is the one of the model's similarity.
    """
    usable = np.flatnonzero(np.isfinite(documents).all(axis=1))
    if len(usable) == len(documents):
        return _pad(_search_in(model, documents, use_faiss))
    if not len(usable):
        raise InvalidInput(
            "the vectors of all documents hold nan or infinity; look at the model's weights, its training "
            "may have diverged"
        )
    missing = len(documents) - len(usable)
    logger.warning(
        "the vectors of %d of %d documents hold nan or infinity; they are no negatives",
        missing,
        len(documents),
    )
    search, numbers = _search_in(model, documents[usable], use_faiss), torch.from_numpy(usable)

    def search_usable(queries: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
        scores, positions = search(queries, k)
        return scores, torch.where(positions < 0, -1, numbers[positions])

    return _pad(search_usable)


def _search_in(model: Any, documents: np.ndarray, use_faiss: bool) -> Search:
    everyone, aligned = similarities(model)
    if use_faiss:
        metric = _faiss_metric(everyone)
        return _faiss_search(documents, metric, None if metric == _INNER_PRODUCT else aligned)
    return _exact_search(documents, everyone, getattr(model, "device", "cpu"))


def positive_scores(model: Any, pairs: Pairs, queries: np.ndarray, documents: np.ndarray) -> Tensor:
    """The similarity of each positive with its query, ``[positives]``."""
    _, aligned = similarities(model)
    return score_aligned(aligned, queries, documents, pairs.query_of, pairs.positives)


def _exact_search(documents: np.ndarray, function: ScoreFunction, device: Any) -> Search:
    """Every document is scored, block by block; on an accelerator if the model is on one."""
    rows = torch.as_tensor(documents).to(device)

    def search(queries: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
        scores, positions = top_k_tensors(
            queries, rows, query_chunk_size=_QUERIES_AT_A_TIME, top_k=k, score_function=function
        )
        return scores.cpu(), positions.cpu()

    return search


def _faiss_metric(function: ScoreFunction) -> str:
    """The name of FAISS's metric that puts unit vectors in the order of a similarity function.

    Raises:
        InvalidOption: it is none of the functions of which that is known.
    """
    for functions, metric in _METRICS.items():
        if any(function is known for known in functions):
            return metric
    raise InvalidOption(
        "use_faiss=True needs a model whose similarity is one of "
        f"{', '.join(SimilarityFunction.possible_values())}; this one has a similarity of its own, whose "
        "order FAISS does not know. Use use_faiss=False"
    )


def _faiss_search(documents: np.ndarray, metric: str, aligned: ScoreFunction | None) -> Search:
    """A flat FAISS index on the CPU.

    Args:
        documents: unit vectors ``[n, d]``.
        metric: by which it finds the nearest, such as ``METRIC_L1``.
        aligned: scores what FAISS finds, so that it can be compared with the positives; None if the
            similarity is the inner product of unit vectors.
    """
    faiss = import_faiss()
    index = faiss.IndexFlat(documents.shape[1], getattr(faiss, metric))
    index.add(np.ascontiguousarray(documents, dtype=np.float32))

    def search(queries: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
        found = index.search(np.ascontiguousarray(queries, dtype=np.float32), min(k, len(documents)))
        scores, positions = torch.from_numpy(found[0]), torch.from_numpy(found[1])
        if aligned is None:
            return scores, positions
        rows = np.repeat(np.arange(len(queries)), positions.shape[1])
        scores = score_aligned(aligned, queries, documents, rows, found[1].reshape(-1))
        scores, order = scores.reshape(positions.shape).sort(dim=1, descending=True, stable=True)
        return scores, positions.gather(1, order)

    return search


def check_faiss(model: Any) -> None:
    """Refuse what a search by FAISS could not do.

    Raises:
        MissingDependency: FAISS is not installed.
        InvalidOption: it has no order that is the one of the model's similarity.
    """
    import_faiss()
    _faiss_metric(similarities(model)[0])


def _pad(search: Search) -> Search:
    """Where there are no more documents, or the score is not a number: score -inf and position -1."""

    def search_padded(queries: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
        scores, positions = search(queries, k)
        nothing = scores.isnan() | (positions < 0)
        scores, positions = scores.masked_fill(nothing, -float("inf")), positions.masked_fill(nothing, -1)
        missing = max(0, k - scores.shape[1])
        pad = torch.nn.functional.pad
        return pad(scores, (0, missing), value=-float("inf")), pad(positions, (0, missing), value=-1)

    return search_padded


def import_faiss() -> Any:
    """The package faiss.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise MissingDependency("use_faiss=True needs FAISS; run: pip install faiss-cpu") from error


def score_aligned(
    function: ScoreFunction, a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray
) -> Tensor:
    """Similarity of row ``rows_a[i]`` of a with row ``rows_b[i]`` of b: ``[len(rows_a)]``."""
    parts = []
    for start in range(0, len(rows_a), _PAIRS_AT_A_TIME):
        block = slice(start, start + _PAIRS_AT_A_TIME)
        left, right = (torch.from_numpy(x[rows]) for x, rows in ((a, rows_a[block]), (b, rows_b[block])))
        parts.append(function(left, right).cpu())
    return torch.cat(parts)
