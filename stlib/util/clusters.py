"""Rows that are alike, joined."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def join_rows(rows: Tensor, clusters: int) -> Tensor:
    """The means ``[at most clusters, d]`` of Ward clusters of unit rows ``[n, d]`` by cosine distance.

    Gradients flow through the means; which rows belong together is given. Means come in the order of their
    clusters' numbers, as SciPy gives them.
    """
    from scipy.cluster.hierarchy import fcluster, ward

    known = rows.detach().float().cpu()
    distances = (1 - known @ known.T).clamp(0, 2).numpy()
    above = distances[np.triu_indices(len(distances), k=1)]
    numbers = fcluster(ward(above), t=clusters, criterion="maxclust")
    # Where distances are equal there may be fewer clusters than asked for, and gaps between their numbers.
    _, places = np.unique(numbers, return_inverse=True)
    of_row = torch.from_numpy(places.astype(np.int64)).to(rows.device)
    counts = torch.bincount(of_row)
    sums = rows.new_zeros(len(counts), rows.shape[1]).index_add(0, of_row, rows)
    return sums / counts.unsqueeze(1)
