"""Search and mining over embeddings in memory, in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.util.exact_search import blocks, is_row_by_row, semantic_search, top_k_tensors
from stlib.util.lists import refuse_text
from stlib.util.similarity import cos_sim
from stlib.util.tensor import normalize_embeddings, to_float_matrix, to_tensor

__all__ = [
    "community_detection",
    "information_retrieval",
    "paraphrase_mining",
    "paraphrase_mining_embeddings",
    "semantic_search",
]

# Scores of so many rows with a block of the others stay in the cache.
_ROWS_AT_A_TIME = 256
# Scores held at a time where every row is compared with all others at once: 64 MiB.
_SCORES_AT_A_TIME = 2**24


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
    refuse_text(sentences=sentences)
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
        query_chunk_size: rows whose partners are merged into the result at a time.
        corpus_chunk_size: columns scored at a time, at most.
        max_pairs: pairs returned at most.
        top_k: partners considered per row.
        score_function: symmetric, larger is better.

    Returns:
        ``[score, i, j]`` with ``i < j``, best first, each pair once.
    """
    scores, first, second = mine_pairs(
        embeddings, query_chunk_size, corpus_chunk_size, max_pairs, top_k, score_function
    )
    return [[*pair] for pair in zip(scores.tolist(), first.tolist(), second.tolist(), strict=True)]


def mine_pairs(
    embeddings: Any,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100000,
    max_pairs: int = 500000,
    top_k: int = 100,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What :func:`paraphrase_mining_embeddings` finds, as three arrays: scores, i and j."""
    refuse_text(embeddings=embeddings)
    embeddings = to_tensor(embeddings)
    best = _BestPairs(len(embeddings), max_pairs)
    if len(embeddings) < 2 or top_k < 1:
        return best.arrays()
    # Functions that may look at rows side by side are called as the chunk sizes say.
    step = min(query_chunk_size, _ROWS_AT_A_TIME) if is_row_by_row(score_function) else query_chunk_size
    for start, rows in blocks(embeddings, query_chunk_size):
        # One more than asked for: the row itself is among them.
        scores, partners = top_k_tensors(
            rows, embeddings, step, corpus_chunk_size, top_k + 1, score_function=score_function
        )
        best.offer(scores.cpu().numpy(), partners.cpu().numpy(), start, top_k)
    return best.arrays()


class _BestPairs:
    """The best pairs of rows so far, each once, in arrays.

    Args:
        n: number of rows.
        limit: pairs kept.
    """

    def __init__(self, n: int, limit: int) -> None:
        self._n = n
        self._limit = limit
        self._keys = np.zeros(0, dtype=np.int64)
        self._scores = np.zeros(0, dtype=np.float32)

    def offer(self, scores: np.ndarray, partners: np.ndarray, start: int, top_k: int) -> None:
        """Take the ``top_k`` best partners ``[rows, k]`` of the rows from ``start`` on, themselves apart."""
        own = np.arange(start, start + len(partners))[:, None]
        others = partners != own
        wanted = others & (others.cumsum(axis=1) <= top_k)
        low, high = np.minimum(partners, own)[wanted], np.maximum(partners, own)[wanted]
        keys = np.concatenate([self._keys, low * self._n + high])
        values = np.concatenate([self._scores, scores[wanted]])
        # A pair met from both sides counts as it was met first.
        first = np.sort(np.unique(keys, return_index=True)[1])
        chosen = first[np.argsort(-values[first], kind="stable")[: max(0, self._limit)]]
        self._keys, self._scores = keys[chosen], values[chosen]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, i and j with ``i < j``, best first."""
        return (self._scores, *np.divmod(self._keys, max(1, self._n)))


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
        batch_size: rows compared with all others at a time; fewer if their scores would take over 64 MiB.
        show_progress_bar: show one.

    Returns:
        Disjoint groups of positions, largest first, the centre first in each.
    """
    from tqdm import trange

    refuse_text(embeddings=embeddings)
    least = max(min_community_size, 1)
    if len(embeddings) < least:
        return []
    unit = normalize_embeddings(to_float_matrix(embeddings))
    step = max(1, min(batch_size, _SCORES_AT_A_TIME // len(unit)))
    sizes = torch.zeros(len(unit), dtype=torch.long)
    for start in trange(0, len(unit), step, desc="Finding clusters", disable=not show_progress_bar):
        scores = unit[start : start + step] @ unit.T
        sizes[start : start + step] = (scores >= threshold).sum(dim=1).cpu()
    order = torch.argsort(sizes, descending=True, stable=True)
    centres = order[sizes[order] >= least].tolist()
    return _disjoint(unit, centres, threshold, least, step)


def _disjoint(unit: Tensor, centres: list[int], threshold: float, least: int, step: int) -> list[list[int]]:
    """Give each position to the largest group that claims it; a group whose centre is taken is dropped.

    The members of ``step`` groups at a time are found again, as those of all groups together may be as many
    as there are pairs.
    """
    taken = np.zeros(len(unit), dtype=bool)
    kept = []
    waiting = np.asarray(centres, dtype=np.int64)
    while len(waiting):
        batch, waiting = waiting[:step], waiting[step:]
        scores = unit[torch.from_numpy(batch).to(unit.device)] @ unit.T
        for row, centre in enumerate(batch.tolist()):
            if taken[centre]:
                continue
            members = _near(scores[row], threshold)
            free = members[~taken[members]]
            if len(free) >= least:
                kept.append([centre, *free[free != centre].tolist()])
                taken[free] = True
        waiting = waiting[~taken[waiting]]
    return sorted(kept, key=len, reverse=True)


def _near(scores: Tensor, threshold: float) -> np.ndarray:
    """Positions of scores that reach the threshold, best first."""
    near = torch.nonzero(scores >= threshold).squeeze(1)
    order = torch.argsort(scores[near], descending=True, stable=True)
    return near[order].to(torch.int32).cpu().numpy()
