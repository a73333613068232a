"""The best results of some queries, while scores come block by block."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class BestRows:
    """The ``top_k`` best rows of each query so far, kept in arrays ``[queries, kept]``.

    A score must beat the worst of its query to be looked at, so after the first blocks next to nothing of a
    block is copied or sorted. Blocks may lie on any device; what is kept lies in memory.

    Args:
        n_queries: rows of every block of scores.
        top_k: results per query.
    """

    def __init__(self, n_queries: int, top_k: int) -> None:
        self._top_k = top_k
        self.scores: np.ndarray = np.zeros((n_queries, 0), dtype=np.float32)
        """``[queries, kept]``, best first."""
        self.positions: np.ndarray = np.zeros((n_queries, 0), dtype=np.int64)
        """``[queries, kept]``: which row of the corpus has the score."""
        self._ranks = self.positions

    def offer(self, scores: Tensor, offset: int, ranks: np.ndarray | None = None) -> None:
        """Take a block of scores.

        Args:
            scores: ``[queries, n]``, larger is better.
            offset: position of the first of the n rows in the corpus.
            ranks: ``[n]`` numbers; of equal scores the one with the smaller number is better. By default it
                is the position. Either every block has ranks or none.
        """
        if scores.dtype in (torch.bfloat16, torch.float16):
            scores = scores.float()  # numpy has no bfloat16
        n = scores.shape[1]
        full = self.scores.shape[1] >= self._top_k
        if not full:
            # At least so many of this block as there are places; more if scores are equal. "Not less" lets
            # those through that are not numbers.
            least = torch.topk(scores, min(self._top_k, n), dim=1).values[:, -1:]
            found = torch.logical_not(scores < least)
        else:
            worst = torch.from_numpy(self.scores[:, -1:].copy()).to(scores.device)
            # Positions grow, so a later row with the worst score never wins; a rank may.
            found = scores > worst if ranks is None else scores >= worst
        places = _places(found)
        if not len(places):
            return
        values = scores.reshape(-1)[torch.from_numpy(places).to(scores.device)].cpu().numpy()
        queries, columns = np.divmod(places, n)
        positions = columns + offset
        keys = positions if ranks is None else ranks[columns]
        if full and ranks is not None:
            wins = (values > self.scores[queries, -1]) | (keys < self._ranks[queries, -1])
            queries, values, positions, keys = queries[wins], values[wins], positions[wins], keys[wins]
        self._merge(queries, values, positions, keys)

    def _merge(
        self, queries: np.ndarray, scores: np.ndarray, positions: np.ndarray, ranks: np.ndarray
    ) -> None:
        n_queries, kept = self.scores.shape
        queries = np.concatenate([np.repeat(np.arange(n_queries), kept), queries])
        scores = np.concatenate([self.scores.reshape(-1), scores])
        positions = np.concatenate([self.positions.reshape(-1), positions])
        ranks = np.concatenate([self._ranks.reshape(-1), ranks])
        # What is not a number comes first, as torch sorts it.
        order = np.lexsort((ranks, -np.where(np.isnan(scores), np.inf, scores), queries))
        begins = np.searchsorted(queries[order], np.arange(n_queries))
        k = min(self._top_k, int(np.diff(begins, append=len(order)).min()))
        chosen = order[begins[:, None] + np.arange(k)]
        self.scores, self.positions, self._ranks = scores[chosen], positions[chosen], ranks[chosen]

    def rows(self) -> list[tuple[list[int], list[float]]]:
        """Positions and scores of each query, best first."""
        return list(zip(self.positions.tolist(), self.scores.tolist(), strict=True))

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Scores and positions ``[queries, kept]``, best first."""
        return torch.from_numpy(self.scores), torch.from_numpy(self.positions)


def _places(found: Tensor) -> np.ndarray:
    if found.device.type == "cpu":
        return np.flatnonzero(found.numpy().reshape(-1))
    return found.reshape(-1).nonzero().squeeze(1).cpu().numpy()
