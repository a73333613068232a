"""Search and mining over embeddings in memory, in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stlib.util.similarity import cos_sim
from stlib.util.tensor import normalize_embeddings, to_float_matrix, to_tensor


def semantic_search(
    query_embeddings: Any,
    corpus_embeddings: Any,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500000,
    top_k: int = 10,
    score_function: Callable[[Tensor, Tensor], Tensor] = cos_sim,
) -> list[list[dict[str, Any]]]:
    """The ``top_k`` most similar corpus rows of each query.

    Memory beyond the inputs is bounded by ``query_chunk_size * corpus_chunk_size`` scores.

    Args:
        query_embeddings: ``[q, d]`` (or one vector ``[d]``), tensor, array or list; dense or sparse.
        corpus_embeddings: ``[n, d]``; the search runs on its device.
        query_chunk_size: queries scored at a time.
        corpus_chunk_size: corpus rows scored at a time.
        top_k: results per query; fewer when the corpus is smaller.
        score_function: ``(a [q, d], b [n, d]) -> [q, n]``, larger is better.

    Returns:
        For each query a list of ``{"corpus_id": int, "score": float}``, best first.
    """
    corpus = to_tensor(corpus_embeddings)
    queries = to_tensor(query_embeddings).to(corpus.device)
    queries = queries.unsqueeze(0) if queries.dim() == 1 else queries
    if len(queries) == 0 or len(corpus) == 0 or top_k < 1:
        return [[] for _ in range(len(queries))]
    score = _prepared_score(score_function)
    best: list[tuple[Tensor, Tensor]] = [_NOTHING] * len(range(0, len(queries), query_chunk_size))
    for start in range(0, len(corpus), corpus_chunk_size):
        chunk = score.prepare(_rows(corpus, start, start + corpus_chunk_size))
        for i, first in enumerate(range(0, len(queries), query_chunk_size)):
            scores = score(_rows(queries, first, first + query_chunk_size), chunk)
            best[i] = _merge_top(best[i], scores, start, top_k)
    return [
        [{"corpus_id": int(p), "score": float(s)} for s, p in zip(*row, strict=True)]
        for values, positions in best
        for row in zip(values.cpu().tolist(), positions.cpu().tolist(), strict=True)
    ]


def information_retrieval(*args: Any, **kwargs: Any) -> list[list[dict[str, Any]]]:
    """Older name of :func:`semantic_search`."""
    return semantic_search(*args, **kwargs)


_NOTHING = (torch.empty(0, 0), torch.empty(0, 0, dtype=torch.int64))


class _prepared_score:
    """A score function; for cosine, corpus rows are normalised once per chunk rather than once per query
    chunk.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._function = function
        self._is_cosine = function is cos_sim

    def prepare(self, corpus_rows: Tensor) -> Tensor:
        return normalize_embeddings(to_float_matrix(corpus_rows)) if self._is_cosine else corpus_rows

    def __call__(self, query_rows: Tensor, prepared_rows: Tensor) -> Tensor:
        if not self._is_cosine:
            return self._function(query_rows, prepared_rows)
        query_rows = normalize_embeddings(to_float_matrix(query_rows))
        return torch.mm(query_rows, prepared_rows.transpose(0, 1)).to_dense()


def _rows(matrix: Tensor, start: int, stop: int) -> Tensor:
    if not matrix.is_sparse:
        return matrix[start:stop]
    # sparse COO tensors cannot be sliced
    return matrix.index_select(0, torch.arange(start, min(stop, len(matrix)), device=matrix.device))


def _merge_top(best: tuple[Tensor, Tensor], scores: Tensor, offset: int, top_k: int) -> tuple[Tensor, Tensor]:
    """Keep the ``top_k`` best of what was kept and a new ``[q, n]`` block of scores whose first column is
    ``offset``.
    """
    values, positions = torch.topk(scores, min(top_k, scores.shape[1]), dim=1)
    positions = positions + offset
    if best[0].numel():
        values = torch.cat([best[0], values], dim=1)
        positions = torch.cat([best[1], positions], dim=1)
    # Earlier chunks come first, so a stable sort keeps equal scores in the order of the corpus.
    order = torch.argsort(values, dim=1, descending=True, stable=True)[:, :top_k]
    return values.gather(1, order), positions.gather(1, order)


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
