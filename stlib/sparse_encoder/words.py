"""Sparse embeddings read by people: which words they hold, how many, and which ones two of them share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.sparse_rows import to_coo
from stlib.util.tensor import to_batch


def sparsity(embeddings: Tensor) -> dict[str, float]:
    """How sparse vectors are.

    Args:
        embeddings: ``[n, d]`` or ``[d]``, of any layout.

    Returns:
        ``"active_dims"``, the mean number of values that are not zero, and ``"sparsity_ratio"``, the mean
        share of values that are.

    Raises:
        InvalidInput: that is no tensor of one or two dimensions.
    """
    _check(embeddings, "embeddings", (1, 2))
    rows = to_batch(embeddings) if embeddings.ndim == 1 else embeddings
    n, dimension = rows.shape
    if n == 0 or dimension == 0:
        return {"active_dims": 0.0, "sparsity_ratio": 1.0}
    active = _count(rows) / n
    return {"active_dims": active, "sparsity_ratio": 1.0 - active / dimension}


def intersection(embeddings_1: Tensor, embeddings_2: Tensor) -> Tensor:
    """Products of values where both vectors are active, and the product is positive.

    Args:
        embeddings_1: ``[d]``.
        embeddings_2: ``[d]`` or ``[n, d]``.

    Returns:
        A sparse tensor (COO) of the shape of ``embeddings_2``.

    Raises:
        InvalidInput: the shapes do not fit.
    """
    _check(embeddings_1, "embeddings_1", (1,))
    _check(embeddings_2, "embeddings_2", (1, 2))
    if embeddings_1.shape[-1] != embeddings_2.shape[-1]:
        raise InvalidInput(
            f"embeddings_1 has {embeddings_1.shape[-1]} dimensions and embeddings_2 "
            f"{embeddings_2.shape[-1]}; they are to be of one model"
        )
    weights, other = embeddings_1.to_dense(), to_coo(embeddings_2)
    indices = other.indices()
    values = other.values() * weights[indices[-1]]
    shared = values > 0
    return torch.sparse_coo_tensor(
        indices[:, shared], values[shared], other.shape, is_coalesced=True, check_invariants=False
    )


def decode(
    tokenizer: Any, embeddings: Tensor, top_k: int | None = None
) -> list[tuple[str, float]] | list[list[tuple[str, float]]]:
    """Words and their weights, largest first.

    Args:
        tokenizer: of transformers, whose token i is dimension i.
        embeddings: ``[n, d]`` or ``[d]``, of any layout.
        top_k: words of each vector; None: all that are not zero.

    Returns:
        A list of ``(word, weight)`` for a vector, a list of such lists for a matrix.

    Raises:
        InvalidOption: ``top_k`` is not positive.
        InvalidInput: the embeddings are no tensor of one or two dimensions.
    """
    if top_k is not None and top_k <= 0:
        raise InvalidOption(f"top_k is {top_k}; use a positive number, or None for all words")
    _check(embeddings, "embeddings", (1, 2))
    sparse = to_coo(embeddings)
    indices = sparse.indices()
    n = 1 if embeddings.ndim == 1 else len(embeddings)
    rows = torch.zeros_like(indices[0]) if embeddings.ndim == 1 else indices[0]
    counts = torch.bincount(rows, minlength=n).tolist()
    parts = zip(indices[-1].split(counts), sparse.values().split(counts), strict=True)
    decoded = [_words(tokenizer, terms, weights, top_k) for terms, weights in parts]
    return decoded[0] if embeddings.ndim == 1 else decoded


def _words(tokenizer: Any, terms: Tensor, weights: Tensor, top_k: int | None) -> list[tuple[str, float]]:
    order = torch.argsort(weights, descending=True, stable=True)[:top_k]
    words = tokenizer.convert_ids_to_tokens(terms[order].tolist())
    return list(zip(words, weights[order].tolist(), strict=True))


def _count(rows: Tensor) -> int:
    if rows.layout == torch.strided:
        return int(torch.count_nonzero(rows))
    return int((rows.coalesce() if rows.layout == torch.sparse_coo else rows).values().numel())


def _check(value: Any, name: str, dimensions: tuple[int, ...]) -> None:
    if not isinstance(value, Tensor):
        raise InvalidInput(f"{name} is a {type(value).__name__}; pass a tensor of torch, dense or sparse")
    if value.ndim not in dimensions:
        allowed = " or ".join(map(str, dimensions))
        raise InvalidInput(f"{name} has the shape {tuple(value.shape)}; it is to have {allowed} dimensions")
