"""How the tokens of a question meet those of a passage: numbers that a small network turns into a score.

Each token of the question is compared with each of the passage by the cosine of their fixed vectors. What is
read off that table: how near the best matches are (soft counts at several distances, the kernels of Xiong et
al., SIGIR 2017), where they stand, whether neighbours match neighbours, and how much of the question the best
short span covers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["GLOBAL_FEATURES", "SPAN", "TOKEN_FEATURES", "pair_features"]

# Cosines at whose neighbourhoods matches are counted, and the width of such a neighbourhood.
KERNELS = np.array([0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95], np.float32)
KERNEL_WIDTH = 0.08
# Tokens of a span: about a sentence.
SPAN = 24
# A cosine from which two tokens mean the same.
STRONG = 0.65

TOKEN_FEATURES = 8 + len(KERNELS)
GLOBAL_FEATURES = 9


def pair_features(
    query_ids: NDArray[np.int64],
    query_rows: NDArray[np.float32],
    passage_ids: NDArray[np.int64],
    passage_rows: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features of one pair.

    Args:
        query_ids: token ids ``[q]``, at least one; query_rows: their vectors ``[q, d]``.
        passage_ids: token ids ``[p]``, at least one; passage_rows: their vectors ``[p, d]``.

    Returns:
        ``[q, TOKEN_FEATURES]`` for each token of the question, and ``[GLOBAL_FEATURES]`` for the pair.
    """
    weight, query_units = _units(query_rows)
    _, passage_units = _units(passage_rows)
    table = query_units @ passage_units.T
    exact = query_ids[:, None] == passage_ids[None, :]
    best = table.max(axis=1)
    start, cover = _best_span(weight @ table.clip(0), table, weight)
    tokens = np.column_stack(
        [
            np.log(weight),
            best,
            _top_mean(table, 3),
            np.log1p(exact.sum(axis=1)),
            _neighbours(table),
            _neighbours(exact.astype(np.float32)),
            table[:, start : start + SPAN].max(axis=1),
            _first(table),
            _kernels(table),
        ]
    ).astype(np.float32)
    share = weight / weight.sum()
    query, passage = query_rows.sum(axis=0), passage_rows.sum(axis=0)
    globals_ = [
        _cosine(query, passage),
        _cosine(query, passage_rows[start : start + SPAN].sum(axis=0)),
        _cosine(query, passage_rows[:SPAN].sum(axis=0)),
        cover,
        float(share @ best),
        float(share @ table[:, :SPAN].max(axis=1)),
        float(share @ exact.any(axis=1)),
        np.log(len(passage_ids)),
        np.log(len(query_ids)),
    ]
    return tokens, np.array(globals_, np.float32)


def _units(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-6)
    return lengths, rows / lengths[:, None]


def _best_span(
    mass: NDArray[np.float32], table: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[int, float]:
    """Where the span begins whose tokens are nearest to the question, and the share of it that it covers."""
    sums = np.concatenate([[0.0], np.cumsum(mass, dtype=np.float64)])
    start = int(np.argmax(sums[SPAN:] - sums[:-SPAN])) if len(mass) > SPAN else 0
    return start, float(weight @ table[:, start : start + SPAN].max(axis=1) / weight.sum())


def _top_mean(table: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if table.shape[1] <= count:
        return table.mean(axis=1)
    return np.partition(table, -count, axis=1)[:, -count:].mean(axis=1)


def _neighbours(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each token but the last, how well it and the next match two neighbours of the passage."""
    result = np.zeros(len(table), np.float32)
    if table.shape[0] > 1 and table.shape[1] > 1:
        result[:-1] = np.minimum(table[:-1, :-1], table[1:, 1:]).max(axis=1)
    return result


def _first(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """How early the first strong match stands: 1 at the beginning, 0 where there is none."""
    strong = table >= STRONG
    return np.where(strong.any(axis=1), 1 / (1 + strong.argmax(axis=1) / SPAN), 0.0)


def _kernels(table: NDArray[np.float32]) -> NDArray[np.float32]:
    distance = (table[:, :, None] - KERNELS) / KERNEL_WIDTH
    return np.log1p(np.exp(-0.5 * distance * distance).sum(axis=1))


def _cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(left @ right / max(float(np.linalg.norm(left) * np.linalg.norm(right)), 1e-12))
