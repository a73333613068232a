"""Products and distances between all rows of two sparse matrices, as dense matrices.

torch multiplies sparse matrices into a sparse one, most of whose entries are there. Here the rows of one side
are laid out dense, a few hundred at a time and over the columns alone that these rows hold, and each row of
the other side adds up the weighted columns that it holds.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Rows that are dense at a time: their columns, 25,000 of them, take 25 MB.
_ROWS = 256


def serves(a: Tensor, b: Tensor) -> bool:
    """Whether both are sparse (COO) on a CPU, of one data type, and no gradient is wanted."""
    sparse = a.is_sparse and b.is_sparse and a.dtype == b.dtype and a.is_floating_point()
    return sparse and a.device.type == b.device.type == "cpu" and not (a.requires_grad or b.requires_grad)


@torch.no_grad()
def multiply(a: Tensor, b: Tensor) -> Tensor:
    """``a b^T``, dense ``[n, m]``, of sparse ``a [n, d]`` and ``b [m, d]``."""
    if len(a) > len(b):
        return multiply(b, a).T.contiguous()
    a, b = a.coalesce(), b.coalesce()
    result = a.values().new_empty(len(a), len(b))
    for start in range(0, len(a), _ROWS):
        part = result[start : start + _ROWS]
        part.copy_(_multiply_few(a, start, len(part), b).T)
    return result


def _multiply_few(a: Tensor, start: int, n: int, b: Tensor) -> Tensor:
    """``b a'^T``, ``[m, n]``, of the n rows a' of ``a`` from ``start`` on."""
    own, dense = _lay_out(a, start, n)
    kept, numbers = _find_shared(b, own)
    counts = torch.bincount(b.indices()[0][kept], minlength=len(b))
    return torch.nn.functional.embedding_bag(
        numbers, dense, counts.cumsum(0) - counts, mode="sum", per_sample_weights=b.values()[kept]
    )


@torch.no_grad()
def manhattan(a: Tensor, b: Tensor) -> Tensor:
    """Sums of absolute differences, ``[n, m]``, of sparse ``a [n, d]`` and ``b [m, d]``."""
    if len(a) > len(b):
        return manhattan(b, a).T.contiguous()
    a, b = a.coalesce(), b.coalesce()
    result = sum_rows(a, a.values().abs()).unsqueeze(1) + sum_rows(b, b.values().abs())
    for start in range(0, len(a), _ROWS):
        part = result[start : start + _ROWS]
        own, dense = _lay_out(a, start, len(part))
        kept, numbers = _find_shared(b, own)
        others, weights = b.indices()[0][kept], b.values()[kept]
        sizes = weights.abs()
        for row, ours in zip(part, dense.T.contiguous(), strict=True):
            # Where only one of two rows has a value, their sums have counted it already, and this is 0.
            found = ours[numbers]
            row.index_add_(0, others, (found - weights).abs() - found.abs() - sizes)
    return result


def sum_rows(matrix: Tensor, values: Tensor) -> Tensor:
    """``[n]`` sums of ``values``, one for each value of a coalesced matrix ``[n, d]``."""
    return values.new_zeros(len(matrix)).index_add_(0, matrix.indices()[0], values)


def _lay_out(matrix: Tensor, start: int, n: int) -> tuple[Tensor, Tensor]:
    """The columns that n rows from ``start`` on hold, as numbers ``[d]`` from 0 on and -1 for all others, and
    the values ``[k, n]`` in them; k is 1 or more.
    """
    rows, columns = matrix.indices()
    first, last = torch.searchsorted(rows, torch.tensor([start, start + n])).tolist()
    held = torch.zeros(matrix.shape[1], dtype=torch.bool)
    held[columns[first:last]] = True
    numbers = held.cumsum(0) - 1
    dense = matrix.values().new_zeros(max(int(held.sum()), 1), n)
    dense[numbers[columns[first:last]], rows[first:last] - start] = matrix.values()[first:last]
    return numbers.masked_fill_(~held, -1), dense


def _find_shared(matrix: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Which values of a coalesced matrix lie in numbered columns, and the numbers of these."""
    numbered = numbers[matrix.indices()[1]]
    kept = (numbered >= 0).nonzero().squeeze(1)
    return kept, numbered[kept]
