"""Search and mining over embeddings in memory, in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stlib.util.exact_search import semantic_search
from stlib.util.similarity import cos_sim
from stlib.util.tensor import normalize_embeddings, to_float_matrix, to_tensor

__all__ = [
    "community_detection",
    "information_retrieval",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "semantic_search",
]


def information_retrieval(*args: Any, **kwargs: Any) -> list[list[dict[str, Any]]]:
    """Older name of :func:`semantic_search`."""
    return semantic_search(*args, **kwargs)


def paraphrase_mining(
    model: Any,
    sentences: list[str],
    show_progress_bar: bool = False,
    batch_size: int = 32,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100000,
    max_pairs: int = 500000,
    top_k: int = 100,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
    truncate_dim: int | None = None,
    prompt_name: str | None = None,
    prompt: str | None = None,
) -> list[list[float | int]]:
    """Encode sentences and return their most similar pairs; see :func:`paraphrase_mining_embeddings`."""
    embeddings = model.encode(
        sentences,
        prompt_name=prompt_name,
        prompt=prompt,
        batch_size=batch_size,
        show_progress_bar=show_progress_bar,
        convert_to_tensor=True,
        truncate_dim=truncate_dim,
    )
    return paraphrase_mining_embeddings(
        embeddings, query_chunk_size, corpus_chunk_size, max_pairs, top_k, score_function
    )


def paraphrase_mining_embeddings(
    embeddings: Tensor,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100000,
    max_pairs: int = 500000,
    top_k: int = 100,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
) -> list[list[float | int]]:
    """The most similar pairs among ``[n, d]`` embeddings.

    Args:
        embeddings: all vectors; each is compared with all others.
        query_chunk_size: rows scored at a time.
        corpus_chunk_size: columns scored at a time.
        max_pairs: pairs returned at most.
        top_k: partners considered per row.
        score_function: symmetric, larger is better.

    Returns:
        ``[score, i, j]`` with ``i < j``, best first, each pair once.
    """
    embeddings = to_tensor(embeddings)
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, len(embeddings), query_chunk_size):
        rows = _rows(embeddings, start, start + query_chunk_size)
        # One more than asked for: the row itself is among them.
        hits = semantic_search(
            rows, embeddings, query_chunk_size, corpus_chunk_size, top_k + 1, score_function=score_function
        )
        for i, row_hits in enumerate(hits, start):
            partners = [hit for hit in row_hits if hit["corpus_id"] != i][:top_k]
            for hit in partners:
                j = hit["corpus_id"]
                pairs.setdefault((min(i, j), max(i, j)), hit["score"])
        if len(pairs) > 2 * max_pairs:
            pairs = dict(_best_pairs(pairs, max_pairs))
    return [[score, i, j] for (i, j), score in _best_pairs(pairs, max_pairs)]


def _rows(matrix: Tensor, start: int, stop: int) -> Tensor:
    if not matrix.is_sparse:
        return matrix[start:stop]
    # sparse COO tensors cannot be sliced
    return matrix.index_select(0, torch.arange(start, min(stop, len(matrix)), device=matrix.device))


def _best_pairs(pairs: dict[tuple[int, int], float], n: int) -> list[tuple[tuple[int, int], float]]:
    return sorted(pairs.items(), key=lambda item: item[1], reverse=True)[:n]


def community_detection(
    embeddings: Any,
    threshold: float = 0.75,
    min_community_size: int = 10,
    batch_size: int = 1024,
    show_progress_bar: bool = False,
) -> list[list[int]]:
    """Groups of vectors that lie within a cosine of ``threshold`` of a common centre.

    Args:
        embeddings: ``[n, d]`` tensor or array.
        threshold: least cosine between a member and the centre of its group.
        min_community_size: smaller groups are dropped.
        batch_size: rows compared with all others at a time.
        show_progress_bar: show one.

    Returns:
        Disjoint groups of positions, largest first, the centre first in each.
    """
    from tqdm import trange

    if len(embeddings) < max(min_community_size, 1):
        return []
    unit = normalize_embeddings(to_float_matrix(embeddings))
    groups: list[tuple[int, list[int]]] = []
    for start in trange(0, len(unit), batch_size, desc="Finding clusters", disable=not show_progress_bar):
        scores = unit[start : start + batch_size] @ unit.T
        for i, row in enumerate(scores, start):
            near = torch.nonzero(row >= threshold).squeeze(1)
            if len(near) >= min_community_size:
                order = torch.argsort(row[near], descending=True, stable=True)
                groups.append((i, near[order].tolist()))
    return _disjoint(groups, min_community_size)


def _disjoint(groups: list[tuple[int, list[int]]], min_size: int) -> list[list[int]]:
    """Give each position to the largest group that claims it; a group whose centre is taken is dropped."""
    taken: set[int] = set()
    kept = []
    for centre, members in sorted(groups, key=lambda group: len(group[1]), reverse=True):
        free = [m for m in members if m not in taken]
        if centre in taken or len(free) < min_size:
            continue
        kept.append([centre, *(m for m in free if m != centre)])
        taken.update(free)
    return sorted(kept, key=len, reverse=True)
