"""Rows that are alike, joined."""

from __future__ import annotations

import torch
from torch import Tensor

from stlib.util.ward import ward_labels


def join_rows(rows: Tensor, clusters: int) -> Tensor:
    """The means ``[at most clusters, d]`` of Ward clusters of unit rows ``[n, d]`` by cosine distance.

    Gradients flow through the means; which rows belong together is given. Means come in the order of their
    clusters' numbers, see :func:`~stlib.util.ward.ward_labels`.
    """
    known = rows.detach().float().cpu()
    distances = (1 - known @ known.T).clamp(0, 2).numpy()
    of_row = torch.from_numpy(ward_labels(distances, clusters)).to(rows.device)
    counts = torch.bincount(of_row)
    sums = rows.new_zeros(len(counts), rows.shape[1]).index_add(0, of_row, rows)
    return sums / counts.unsqueeze(1)
