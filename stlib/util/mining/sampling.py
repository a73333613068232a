"""The negatives among the candidates that are left."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from stlib.util.mining.options import MiningOptions


def choose(scores: Tensor, positions: Tensor, options: MiningOptions) -> tuple[Tensor, Tensor]:
    """``num_negatives`` of the candidates of each query.

    Ranks are counted among the candidates that were not disqualified: those from ``range_min`` to
    ``range_max`` may be chosen.

    Args:
        scores: ``[q, k]``; -inf for disqualified ones.
        positions: ``[q, k]``.
        options: with a ``range_max``. Random sampling draws from :mod:`random`; seed that.

    Returns:
        Scores and positions ``[q, num_negatives]``, best first; -inf where there was none left.
    """
    ranked, order = scores.sort(dim=1, descending=True, stable=True)
    window = slice(options.range_min, options.range_max)
    ranked, positions = ranked[:, window], positions.gather(1, order[:, window])
    if options.sampling_strategy == "top":
        top = slice(0, options.num_negatives)
        return ranked[:, top].clone(), positions[:, top].clone()
    chosen = _draw(ranked, options.num_negatives)
    return ranked.gather(1, chosen), positions.gather(1, chosen)


def _draw(ranked: Tensor, n: int) -> Tensor:
    """Places ``[q, n]`` in rows of descending scores, drawn without replacement from the finite ones, in
    order.
    """
    available = (~ranked.isinf()).sum(dim=1).clamp(min=n).tolist()
    return torch.tensor([sorted(random.sample(range(count), n)) for count in available])
