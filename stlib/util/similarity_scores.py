"""Similarity of embeddings: all pairs, or aligned rows (``pairwise_…``). Larger always means more alike.

Inputs may be tensors (dense, sparse COO or CSR), arrays, lists of either, or lists of numbers. Results are
dense tensors: float64 where both sides are, else float32, whatever type of whole or half precision comes in.
Codes of int8 and the like count as the numbers they are; ``dequantize_scalar`` of
:mod:`stlib.util.quantized_codes` makes of them, with their ranges, the values that they stand for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stlib.util import sparse_products
from stlib.util.tensor import normalize_embeddings, to_float_matrices, to_float_pair

__all__ = [
    "cos_sim",
    "dot_score",
    "euclidean_sim",
    "manhattan_sim",
    "pairwise_angle_sim",
    "pairwise_cos_sim",
    "pairwise_dot_score",
    "pairwise_euclidean_sim",
    "pairwise_manhattan_sim",
    "pytorch_cos_sim",
]


def cos_sim(a: Any, b: Any) -> Tensor:
    """Cosine of every row of ``a [n, d]`` with every row of ``b [m, d]``: ``[n, m]``; 0 for a zero row."""
    a, b = (normalize_embeddings(side) for side in to_float_matrices(a, b))
    return _products(a, b)


def pytorch_cos_sim(a: Any, b: Any) -> Tensor:
    """Older name of :func:`cos_sim`."""
    return cos_sim(a, b)


def dot_score(a: Any, b: Any) -> Tensor:
    """Dot product of every row of ``a [n, d]`` with every row of ``b [m, d]``: ``[n, m]``."""
    return _products(*to_float_matrices(a, b))


def euclidean_sim(a: Any, b: Any) -> Tensor:
    """Negated Euclidean distance of every row of ``a [n, d]`` to every row of ``b [m, d]``: ``[n, m]``."""
    a, b = to_float_matrices(a, b)
    if not (a.is_sparse or b.is_sparse):
        return -torch.cdist(a, b, p=2.0)
    # |a - b|^2 = |a|^2 - 2ab + |b|^2 needs no dense copy of a sparse side; rounding may go just below zero.
    squares = _squared_norms(a).unsqueeze(1) + _squared_norms(b).unsqueeze(0) - 2 * dot_score(a, b)
    return -squares.clamp(min=0).sqrt()


def manhattan_sim(a: Any, b: Any) -> Tensor:
    """Negated Manhattan distance of every row of ``a [n, d]`` to every row of ``b [m, d]``: ``[n, m]``."""
    a, b = to_float_matrices(a, b)
    if not (a.is_sparse or b.is_sparse):
        return -torch.cdist(a, b, p=1.0)
    if sparse_products.serves(a, b):
        return -sparse_products.manhattan(a, b)
    # No sparse product gives sums of |a - b|; one dense row of ``a`` at a time bounds the memory.
    b = b.to_dense()
    return torch.stack([-(row.to_dense() - b).abs().sum(dim=-1) for row in a])


def pairwise_cos_sim(a: Any, b: Any) -> Tensor:
    """Cosine of row i of ``a [n, d]`` with row i of ``b [n, d]``: ``[n]``."""
    return pairwise_dot_score(*(normalize_embeddings(side) for side in to_float_pair(a, b)))


def pairwise_dot_score(a: Any, b: Any) -> Tensor:
    """Dot product of row i of ``a [n, d]`` with row i of ``b [n, d]``: ``[n]``."""
    a, b = to_float_pair(a, b)
    return (a * b).sum(dim=-1).to_dense()


def pairwise_euclidean_sim(a: Any, b: Any) -> Tensor:
    """Negated Euclidean distance of row i of ``a`` to row i of ``b``: ``[n]``. Equal rows have gradient 0."""
    difference = _row_difference(a, b)
    if difference.is_sparse:
        return -difference.square().sum(dim=-1).to_dense().sqrt()
    # A norm has a gradient where the root of a sum of squares has none: at 0.
    return -torch.linalg.vector_norm(difference, dim=-1)


def pairwise_manhattan_sim(a: Any, b: Any) -> Tensor:
    """Negated Manhattan distance of row i of ``a`` to row i of ``b``: ``[n]``."""
    return -_row_difference(a, b).abs().sum(dim=-1).to_dense()


def pairwise_angle_sim(x: Any, y: Any) -> Tensor:
    """Absolute normalised angle difference in complex space, row by row: ``[n]``.

    The two halves of a vector are read as real and imaginary parts (an odd dimension is padded by a zero).
    Source: Li and Li, "AnglE-optimized Text Embeddings", arXiv:2309.12871, section 3.
    """
    x, y = (_unit_dense(side) for side in to_float_pair(x, y))
    x_real, x_imag = x.chunk(2, dim=1)
    y_real, y_imag = y.chunk(2, dim=1)
    # z = x * conj(y), summed over the components; the angle of z is the difference of the angles.
    real = (x_real * y_real + x_imag * y_imag).sum(dim=1)
    imag = (x_imag * y_real - x_real * y_imag).sum(dim=1)
    return (real + imag).abs()


def _products(a: Tensor, b: Tensor) -> Tensor:
    """``a b^T`` as a dense matrix."""
    if sparse_products.serves(a, b):
        return sparse_products.multiply(a, b)
    return torch.mm(a, b.transpose(0, 1)).to_dense()


def _unit_dense(values: Tensor) -> Tensor:
    dense = values.to_dense()
    if dense.shape[1] % 2:
        dense = torch.nn.functional.pad(dense, (0, 1))
    return normalize_embeddings(dense)


def _row_difference(a: Any, b: Any) -> Tensor:
    a, b = to_float_pair(a, b)
    if a.is_sparse != b.is_sparse:
        a, b = a.to_dense(), b.to_dense()
    return a - b


def _squared_norms(x: Tensor) -> Tensor:
    if sparse_products.serves(x, x):
        x = x.coalesce()
        return sparse_products.sum_rows(x, x.values().square())
    return (x * x).sum(dim=1).to_dense()
