"""Sparse vectors: rows one by one, and joined to a tensor in one of torch's layouts."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor


class SparseRow(TypedDict):
    """One vector. A dict, as processes send their results to each other in dicts of arrays."""

    terms: Tensor
    """``[active]`` dimensions whose value is not zero, ascending (int64)."""

    weights: Tensor
    """``[active]`` their values."""

    dimension: int
    """Length of the vector."""


def split_rows(values: Tensor, to_cpu: bool = False) -> list[SparseRow]:
    """The rows of a matrix ``[n, d]``, dense or sparse."""
    sparse = values.coalesce() if values.layout == torch.sparse_coo else values.to_sparse_coo()
    if to_cpu:
        sparse = sparse.cpu()
    rows, terms = sparse.indices()
    counts = torch.bincount(rows, minlength=len(values)).tolist()
    parts = zip(terms.split(counts), sparse.values().split(counts), strict=True)
    return [{"terms": t, "weights": w, "dimension": values.shape[-1]} for t, w in parts]


def join_rows(rows: list[SparseRow]) -> Tensor:
    """A coalesced matrix ``[n, d]`` in COO layout of one row or more."""
    terms, weights = (torch.cat([row[name] for row in rows]) for name in ("terms", "weights"))
    counts = torch.tensor([len(row["terms"]) for row in rows], device=terms.device)
    numbers = torch.repeat_interleave(torch.arange(len(rows), device=terms.device), counts)
    return _coo(torch.stack([numbers, terms]), weights, (len(rows), rows[0]["dimension"]))


def single_row(row: SparseRow) -> Tensor:
    """A vector ``[d]`` in COO layout, of its own: no part of a batch, nor of torch's inference mode, whose
    tensors cannot be split outside of it.
    """
    return _coo(row["terms"].clone().unsqueeze(0), row["weights"].clone(), (row["dimension"],))


def to_coo(values: Tensor) -> Tensor:
    """A vector or matrix of any layout as a coalesced tensor in COO layout."""
    if values.layout == torch.sparse_coo:
        return values.coalesce()
    return values.to_sparse_coo() if values.layout != torch.strided else values.to_sparse().coalesce()


def _coo(indices: Tensor, values: Tensor, size: tuple[int, ...]) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, size, is_coalesced=True, check_invariants=False)
