"""Small helpers on tensors that several parts share."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption


def normalize_embeddings(embeddings: Tensor) -> Tensor:
    """Rows scaled to unit L2 length, dense or sparse; a zero row stays zero.

    Args:
        embeddings: ``[n, d]`` or ``[d]``, strided or sparse COO; whole numbers become float32.
    """
    if not embeddings.is_floating_point():
        embeddings = embeddings.float()
    if not embeddings.is_sparse:
        # torch's bound of 1e-12 is zero in half precision, where it would turn a zero row into NaN.
        tiny = torch.finfo(embeddings.dtype).tiny
        return torch.nn.functional.normalize(embeddings, p=2, dim=-1, eps=max(1e-12, tiny))
    embeddings = embeddings.coalesce()
    indices, values = embeddings.indices(), embeddings.values().float()
    rows = indices[0] if embeddings.dim() > 1 else torch.zeros_like(indices[0])
    n_rows = embeddings.size(0) if embeddings.dim() > 1 else 1
    squares = values.new_zeros(n_rows).index_add_(0, rows, values.square())
    # A row of zeros has norm 0; dividing by 1 there keeps it zero.
    norms = squares.sqrt()
    norms[norms == 0] = 1.0
    scaled = (values / norms[rows]).to(embeddings.dtype)
    size = embeddings.size()
    return torch.sparse_coo_tensor(indices, scaled, size, is_coalesced=True, check_invariants=False)


def truncate_embeddings(embeddings: Any, truncate_dim: int | None) -> Any:
    """The first ``truncate_dim`` components of each vector (all of them for ``None``); arrays and tensors."""
    return embeddings[..., :truncate_dim]


def select_max_active_dims(embeddings: np.ndarray | Tensor, max_active_dims: int | None) -> Any:
    """Keep the ``max_active_dims`` components of largest magnitude per row and set the others to zero.

    Raises:
        InvalidOption: ``max_active_dims`` is not positive.
    """
    if max_active_dims is None:
        return embeddings
    if max_active_dims <= 0:
        raise InvalidOption(f"max_active_dims is {max_active_dims}; use a positive number or None for all")
    dense = to_tensor(embeddings)
    k = min(max_active_dims, dense.shape[-1])
    top = torch.topk(dense.abs(), k=k, dim=-1).indices
    return torch.zeros_like(dense).scatter_(-1, top, dense.gather(-1, top))


def batch_to_device(batch: dict[str, Any], target_device: torch.device | str) -> dict[str, Any]:
    """Move every tensor of a features dict to a device, in place; returns the same dict."""
    for key, value in batch.items():
        if isinstance(value, Tensor):
            batch[key] = value.to(target_device)
    return batch


def to_tensor(values: Any) -> Tensor:
    """A tensor from a tensor, array, list (or tuple) of either, or nested list of numbers; sparse ones become
    float32 in COO layout, and rows of several types what torch makes of them together.
    """
    first = values[0] if isinstance(values, (list, tuple)) and values else values
    if isinstance(first, str):
        raise InvalidInput(f"the text {first[:60]!r} stands where embeddings belong; encode it first")
    if isinstance(values, tuple):
        values = list(values)
    if isinstance(values, np.ndarray):
        values = _from_array(values)
    elif isinstance(values, list) and values and all(isinstance(v, Tensor) for v in values):
        if values[0].is_sparse:
            values = [v.coalesce().to(torch.float32) for v in values]
        values = torch.stack(_of_one_type(values))
    elif isinstance(values, list) and values and all(isinstance(v, np.ndarray) for v in values):
        values = torch.stack(_of_one_type([_from_array(v) for v in values]))
    elif not isinstance(values, Tensor):
        values = torch.tensor(values)
    if values.layout == torch.sparse_csr:
        values = values.to_sparse_coo()
    return values.to(torch.float32) if values.is_sparse else values


def _of_one_type(rows: list[Tensor]) -> list[Tensor]:
    types = {row.dtype for row in rows}
    if len(types) < 2:
        return rows
    common = functools.reduce(torch.promote_types, types)
    return [row.to(common) for row in rows]


def to_float_tensor(values: Any) -> Tensor:
    """Like :func:`to_tensor`; whole numbers and half precision become float32, in which similarities are
    computed: a sum of products of bytes fits no byte.
    """
    tensor = to_tensor(values)
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def to_float_pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Both as :func:`to_float_tensor`, of one type: float64 if both are, else float32."""
    a, b = to_float_tensor(a), to_float_tensor(b)
    return (a, b) if a.dtype == b.dtype else (a.float(), b.float())


def to_float_matrices(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Like :func:`to_float_pair`; one vector becomes a matrix of one row."""
    a, b = to_float_pair(a, b)
    return to_batch(a), to_batch(b)


def to_float_matrix(values: Any) -> Tensor:
    """Like :func:`to_float_tensor`; one vector becomes a matrix of one row."""
    tensor = to_float_tensor(values)
    return to_batch(tensor)


def tensor_to_numpy(tensor: Tensor) -> np.ndarray:
    """An array on the CPU; bfloat16, which numpy lacks, becomes float32."""
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.detach().cpu().numpy()


def to_scipy_coo(x: Tensor) -> Any:
    """A ``scipy.sparse.coo_matrix`` from a sparse matrix ``[n, d]`` (needs scipy)."""
    from scipy.sparse import coo_matrix

    x = x.coalesce()
    rows, columns = x.indices().cpu().numpy()
    return coo_matrix((tensor_to_numpy(x.values()), (rows, columns)), shape=tuple(x.shape))


def compute_count_vector(embeddings: Tensor) -> Tensor:
    """For each dimension, how many rows of a sparse ``[n, d]`` (or ``[d]``) are non-zero there; ``[d]``
    ints.
    """
    x = embeddings.coalesce() if embeddings.is_sparse else embeddings.to_sparse().coalesce()
    columns = x.indices()[-1][x.values() != 0]
    return torch.bincount(columns, minlength=x.shape[-1]).to(torch.int32)


def to_batch(tensor: Tensor) -> Tensor:
    """One vector becomes a matrix of one row; other shapes stay."""
    return tensor.unsqueeze(0) if tensor.dim() == 1 else tensor


def move_tensors_to_cpu(value: Any) -> Any:
    """The same nesting of dicts, lists and tuples with every tensor on the CPU; other values as they are."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: move_tensors_to_cpu(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        moved = [move_tensors_to_cpu(item) for item in value]
        return moved if isinstance(value, list) else tuple(moved)
    return value


def stack_padded_token_embeddings(embeddings: list[Tensor], masks: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Columns of token embeddings ``[b, tokens, d]`` side by side, ``[b, columns, most tokens, d]``, and
    their masks ``[b, columns, most tokens]``; shorter columns are padded with zeros.
    """
    embeddings, masks = _pad_alike(embeddings, masks)
    return torch.stack(embeddings, dim=1), torch.stack(masks, dim=1)


def cat_padded_token_embeddings(embeddings: list[Tensor], masks: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Batches of token embeddings ``[b, tokens, d]`` below each other, ``[all b, most tokens, d]``, and their
    masks ``[all b, most tokens]``; shorter batches are padded with zeros.
    """
    embeddings, masks = _pad_alike(embeddings, masks)
    return torch.cat(embeddings, dim=0), torch.cat(masks, dim=0)


def _pad_alike(embeddings: list[Tensor], masks: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    most = max(batch.size(1) for batch in embeddings)
    pad = torch.nn.functional.pad
    return (
        [pad(batch, (0, 0, 0, most - batch.size(1))) for batch in embeddings],
        [pad(mask, (0, most - mask.size(1))) for mask in masks],
    )


# What describes the sequences laid end to end, and has no meaning once they are rows again.
_FLAT_KEYS = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "seq_idx", "position_ids")


def repad_flattened_features(features: dict[str, Any]) -> dict[str, Any]:
    """Turn sequences laid end to end back into padded rows, in place; returns the same dict.

    ``cu_seq_lens_q [n + 1]`` says where each sequence begins in ``token_embeddings [1, tokens, d]`` and
    ``input_ids [1, tokens]``; both become ``[n, longest, …]`` and an ``attention_mask`` is added.
    """
    bounds = features["cu_seq_lens_q"].tolist()
    lengths = [end - begin for begin, end in itertools.pairwise(bounds)]
    for name in ("token_embeddings", "input_ids"):
        parts = features[name][0, : bounds[-1]].split(lengths)
        features[name] = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
    positions = torch.arange(max(lengths), device=features["input_ids"].device)
    features["attention_mask"] = positions < torch.tensor(lengths, device=positions.device).unsqueeze(1)
    for key in _FLAT_KEYS:
        features.pop(key, None)
    return features


def _from_array(array: np.ndarray) -> Tensor:
    # torch warns about read-only arrays (memory maps), as it cannot keep them read-only.
    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)


# Names that user scripts import from Sentence Transformers' util.
_convert_to_tensor = to_tensor
_convert_to_batch = to_batch
_convert_to_batch_tensor = to_float_matrix
_move_tensors_to_cpu = move_tensors_to_cpu
