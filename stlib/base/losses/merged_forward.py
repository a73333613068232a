"""One forward pass for several columns of a batch.

A loss over ``(anchor, positive, negative, …)`` embeds each column. Columns that are prepared alike are
embedded in one pass of ``columns * n`` rows, which keeps a device busier than several passes of ``n`` rows.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.feature_rows import BATCH_KEYS, FLAT_BOUNDS, Features, n_rows

logger = logging.getLogger(__name__)

_merging: ContextVar[bool] = ContextVar("merging", default=True)


@contextmanager
def column_merging_disabled() -> Iterator[None]:
    """Embed every column by itself inside the block.

    For losses that pass state from one call of an inner loss to the next through the features dicts, as
    ``AdaptiveLayerLoss`` does: a merged pass fills a new dict, which the next call would not see.
    """
    token = _merging.set(False)
    try:
        yield
    finally:
        _merging.reset(token)


def embed_columns(
    model: nn.Module, sentence_features: Iterable[Features], separate_first: bool = True
) -> list[Tensor]:
    """The sentence embeddings ``[n, d]`` of each column.

    The first column, often short queries before long documents, has a pass of its own: merging would pad it
    to the longest document. The others share one pass if they can be merged, else each has its own, which
    fills the given dicts.

    Args:
        separate_first: False if the first column is like the others.
    """
    columns = list(sentence_features)
    alone = 1 if separate_first else 0
    embeddings = [_embed(model, column) for column in columns[:alone]]
    candidates = columns[alone:]
    merged = merge_columns(candidates)
    if merged is None:
        return embeddings + [_embed(model, column) for column in candidates]
    together = _embed(model, merged)
    return embeddings + list(together.unflatten(0, (len(candidates), -1)).unbind(0))


def merge_columns(columns: list[Features]) -> Features | None:
    """The columns below each other in one dict, padded on the right to the longest; None if they cannot be.

    They can if they hold the same keys, their tensors have one row per input and differ in the number of
    tokens only, and everything else is equal. Sequences laid end to end, and features without a row per input
    (as those of a static embedding), are not merged.
    """
    if len(columns) < 2 or not _merging.get():
        return None
    first = columns[0]
    if FLAT_BOUNDS in first or not any(_is_matrix(first.get(key)) for key in ("input_ids", "attention_mask")):
        return None
    try:
        return _merge_alike(columns)
    except _NotAlike as why:
        _tell_once(str(why))
        return None


class _NotAlike(Exception):
    """Why columns cannot be merged."""


def _merge_alike(columns: list[Features]) -> Features:
    first = columns[0]
    if any(column.keys() != first.keys() for column in columns):
        raise _NotAlike("they have different features")
    merged: Features = {}
    for key, value in first.items():
        values = [column[key] for column in columns]
        if isinstance(value, Tensor) and key not in BATCH_KEYS:
            merged[key] = _stack_rows(key, values, n_rows(first))
        elif all(_equal(value, other) for other in values[1:]):
            merged[key] = value
        else:
            raise _NotAlike(f"they differ in {key!r}")
    return merged


def _embed(model: nn.Module, features: Features) -> Tensor:
    return model(features)["sentence_embedding"]


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim >= 2


def _stack_rows(key: str, values: list[Tensor], rows: int) -> Tensor:
    first = values[0]
    if any(not isinstance(value, Tensor) or value.ndim != first.ndim for value in values):
        raise _NotAlike(f"{key!r} has different shapes")
    if first.ndim == 0 or any(value.shape[0] != rows for value in values):
        raise _NotAlike(f"{key!r} does not have one row for each input")
    if any(value.shape[2:] != first.shape[2:] for value in values):
        raise _NotAlike(f"{key!r} has different shapes")
    if first.ndim == 1:
        return torch.cat(values)
    longest = max(value.shape[1] for value in values)
    if first.is_floating_point() and any(value.shape[1] != longest for value in values):
        # Zeros mean padding for token ids, whose mask they get too; nobody masks them in other values.
        raise _NotAlike(f"{key!r} would have to be padded")
    return torch.cat([_pad_columns(value, longest) for value in values])


def _pad_columns(value: Tensor, width: int) -> Tensor:
    inner = [0, 0] * (value.ndim - 2)
    return torch.nn.functional.pad(value, [*inner, 0, width - value.shape[1]])


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, Tensor) or isinstance(other, Tensor):
        return (
            isinstance(value, Tensor)
            and isinstance(other, Tensor)
            and value.device == other.device
            and torch.equal(value, other)
        )
    try:
        return bool(value == other)
    except (RuntimeError, ValueError):  # arrays compare element by element
        return False


@functools.lru_cache(maxsize=64)
def _tell_once(reason: str) -> None:
    logger.info("each column of a batch has a forward pass of its own, which is slower, as %s", reason)
