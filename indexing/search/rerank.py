"""Re-ordering what was retrieved by a cross-encoder, which reads query and passage together, or by what
`indexing.search.token_reranker` reads.

The final order adds up both scores, each standardised over the candidates: the reranker reads better, and
retrieval has seen what the whole collection says, so their mistakes differ. The weight was chosen on
Cranfield's train judgments with ms-marco-MiniLM-L12, whose order alone is worse there than the hybrid's;
`python tests/benchmarks/bench_rerank_quality.py CRANFIELD --split train --weight WEIGHT` measures one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from indexing.errors import RerankingFailed
from indexing.names import DEFAULT_RERANK_DEPTH
from stlib.runtime import RerankerProtocol

__all__ = ["Read", "Reranked", "Reranking", "blend", "passages_of", "read_scores", "reorder", "rerank"]

# Characters of a window: about as many as a cross-encoder of 512 tokens reads beside a question.
WINDOW = 1800
# Windows per document that are read; the best one counts.
WINDOWS = 3
# Of a cross-encoder's score, see above.
USUAL_WEIGHT = 0.6
# Documents scored between two looks at the clock, at most.
_STEP = 8


Read: TypeAlias = Callable[[Sequence[int]], np.ndarray]
"""Gives the scores of the candidates at some positions, in order; raises RerankingFailed where it cannot."""


class NamedReranker(Protocol):
    """What reads, by name. A share of the score is its own `weight`, if it has one."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Reranking:
    """How to re-order.

    Attributes:
        reranker: scores a query's passages: a `RerankerProtocol`, or an
            `indexing.search.token_reranker.TokenReranker`.
        depth: how many of the best documents are read.
        budget_ms: stop reading after so many milliseconds; None reads all.
        weight: of the reranker's score against the retrieval's, from 0 to 1; None takes the reranker's own
            `weight`, or 0.6 if it names none.
    """

    reranker: NamedReranker
    depth: int = DEFAULT_RERANK_DEPTH
    budget_ms: float | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Reranked:
    """An order of n candidates: `order` int64 [n] are their former positions, `scores` float32 [n] decide.

    The first `n_read` were read; the rest keeps its order behind them. `read` float32 [n] are the reranker's
    own scores and `shares` float32 [2, n] what reading and retrieval add to `scores`, NaN where it read
    nothing. All are in the new order, in which `scores` never rise: the rest goes on below the last that was
    read, as far apart as retrieval had it. `weight` is the share of the reranker, from 0 to 1.
    """

    order: np.ndarray
    scores: np.ndarray
    read: np.ndarray
    shares: np.ndarray
    n_read: int
    weight: float


def rerank(
    reranking: Reranking, query: str, retrieved: np.ndarray, windows: Callable[[int], Sequence[str]]
) -> Reranked:
    """Re-order candidates by what a reranker reads in their passages.

    Args:
        reranking: model and limits.
        query: the question.
        retrieved: scores of the retrieval, best first, float [n].
        windows: gives the windows of the candidate at a position, see `passages_of`; called when it is that
            candidate's turn, as choosing them takes time too.

    Raises:
        RerankingFailed: the reranker failed, or gave what no order can be made of.
    """
    reranker: Any = reranking.reranker

    def read(positions: Sequence[int]) -> np.ndarray:
        portion = [windows(position) for position in positions]
        flat = [window for part in portion for window in part]
        ends = np.cumsum([len(part) for part in portion])
        parts = np.split(read_scores(reranker, query, flat), ends[:-1])
        return np.asarray([float(part.max()) for part in parts])

    return reorder(reranking, retrieved, read)


def reorder(reranking: Reranking, retrieved: np.ndarray, read: Read) -> Reranked:
    """Re-order candidates, of which the best ones are read. `retrieved` as in `rerank`.

    Raises:
        RerankingFailed: they cannot be read, or the weight is none.
    """
    weight = _weight(reranking)
    n = len(retrieved)
    scored = _read(reranking, min(reranking.depth, n), read)
    n_read = len(scored)
    own = np.full(n, np.nan, np.float32)
    own[:n_read] = scored
    scores = np.asarray(retrieved, np.float64).copy()
    shares = np.full((2, n), np.nan)
    if n_read:
        distances = scores[n_read:] - scores[n_read - 1]
        shares[:, :n_read] = blend(scored, scores[:n_read], weight)
        scores[:n_read] = shares[:, :n_read].sum(axis=0)
        scores[n_read:] = scores[:n_read].min() + distances
    order = np.concatenate([np.argsort(-scores[:n_read], kind="stable"), np.arange(n_read, n)])
    columns = (scores[order].astype(np.float32), own[order], shares[:, order].astype(np.float32))
    return Reranked(order, *columns, n_read, weight)


def blend(read: np.ndarray, retrieved: np.ndarray, weight: float) -> np.ndarray:
    """What reading and retrieval add to the scores of the n documents that were read, float64 [2, n]."""
    return np.stack([weight * _standardise(read), (1 - weight) * _standardise(retrieved)])


def _weight(reranking: Reranking) -> float:
    """The share of the reranker's score; what is no share would make no order.

    Raises:
        RerankingFailed: it is no number from 0 to 1.
    """
    weight: Any = reranking.weight
    if weight is None:
        weight = getattr(reranking.reranker, "weight", USUAL_WEIGHT)
    if not isinstance(weight, (int, float, np.floating)) or isinstance(weight, bool) or not 0 <= weight <= 1:
        raise RerankingFailed(
            f"{reranking.reranker.name} has the weight {weight!r}; a weight is a number from 0 to 1"
        )
    return float(weight)


def _read(reranking: Reranking, depth: int, read: Read) -> np.ndarray:
    """Scores of the first `depth` candidates, as far as the time allows."""
    started = time.perf_counter()
    best: list[float] = []
    while len(best) < depth:
        spent = (time.perf_counter() - started) * 1000
        step = _next_step(reranking.budget_ms, spent, len(best), depth)
        if step == 0:
            break
        best += read(range(len(best), min(len(best) + step, depth))).tolist()
    return np.asarray(best, np.float32)


def _next_step(budget_ms: float | None, spent_ms: float, n_read: int, n: int) -> int:
    """How many documents to read before the next look at the clock: one first, then what should fit."""
    if budget_ms is None:
        return n - n_read
    if spent_ms >= budget_ms:
        return 0
    if n_read == 0 or spent_ms <= 0:
        return 1
    return max(1, int(min(_STEP, (budget_ms - spent_ms) * n_read / spent_ms)))


def read_scores(reranker: RerankerProtocol, query: str, passages: list[str]) -> np.ndarray:
    """What the reranker says of each passage.

    Raises:
        RerankingFailed: it failed, or said something that no order can be made of.
    """
    try:
        scores = np.asarray(reranker.scores(query, passages), np.float32)
    except Exception as error:  # any model may run here; a search must survive it
        reason = " ".join(str(error).split())
        raise RerankingFailed(f"{reranker.name} failed: {type(error).__name__}: {reason}") from error
    if scores.shape != (len(passages),):
        raise RerankingFailed(
            f"{reranker.name} gave scores of shape {scores.shape} for {len(passages)} passages; a reranker "
            "gives one number for each"
        )
    if missing := int((~np.isfinite(scores)).sum()):
        raise RerankingFailed(
            f"{reranker.name} gave no number for {missing} of {len(passages)} passages, so its weights may "
            "be damaged; train, export or download it again"
        )
    return scores


def _standardise(values: np.ndarray) -> np.ndarray:
    """Distance from the mean in standard deviations; zero where all are alike."""
    if not len(values):
        return values
    exact = np.asarray(values, np.float64)  # the square of a large float32 is none
    spread = float(exact.std()) if np.ptp(exact) > 0 else 0.0  # rounding gives equal numbers a spread too
    return (exact - exact.mean()) / spread if spread > 0 else np.zeros_like(exact)


def passages_of(title: str, text: str, spots: Sequence[int]) -> list[str]:
    """What of a document a reranker reads: all of a short one, else windows at its start and around `spots`.

    Args:
        title: put in front of each window, unless the text begins with it.
        text: the document's text.
        spots: characters where an answer may be, such as the start of the best chunk; the first count most.
    """
    windows = _windows(text, spots)
    head = "" if not title or text.startswith(title) else f"{title}. "
    return [head + text[start:end] for start, end in windows]


def _windows(text: str, spots: Sequence[int]) -> list[tuple[int, int]]:
    if len(text) <= WINDOW:
        return [(0, len(text))]
    starts: list[int] = []
    for spot in (*spots, 0):
        # A quarter of the window lies before the spot, so that its sentence has a beginning.
        start = min(max(spot - WINDOW // 4, 0), len(text) - WINDOW)
        if all(abs(start - other) >= WINDOW // 2 for other in starts) and len(starts) < WINDOWS:
            starts.append(start)
    return [(_word_start(text, start), start + WINDOW) for start in starts]


def _word_start(text: str, position: int) -> int:
    """The next beginning of a word, if there is one nearby."""
    if position == 0:
        return 0
    space = text.find(" ", position, position + 40)
    return position if space < 0 else space + 1
