"""How many inputs a features dict holds, and the part of it that belongs to some of them.

A features dict is what a model's ``preprocess`` returns: padded rows (``input_ids [n, tokens]``), sequences
laid end to end (``input_ids [1, all tokens]`` with bounds ``cu_seq_lens_q [n + 1]``), and for pictures and
films tensors with one row per patch or per item rather than per input.
"""

from __future__ import annotations

import bisect
from typing import Any

import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption

Features = dict[str, Any]
Ranges = list[tuple[int, int]]

FLAT_BOUNDS = "cu_seq_lens_q"
# The first of these that is there has one row per input; pixels need not.
_ROW_KEYS = ("input_ids", "attention_mask")
# What describes a whole batch although it may be a tensor.
BATCH_KEYS = ("prompt_length",)


def n_rows(features: Features) -> int:
    """Inputs in a features dict."""
    if FLAT_BOUNDS in features:
        return len(features[FLAT_BOUNDS]) - 1
    for key in _ROW_KEYS:
        if isinstance(features.get(key), Tensor):
            return features[key].shape[0]
    for value in features.values():
        if isinstance(value, Tensor) and value.ndim > 0:
            return value.shape[0]
    raise InvalidInput(f"no tensor among the features {sorted(features)} tells how many inputs there are")


def row_ranges(features: Features, size: int, num_tokens: int | None = None) -> Ranges:
    """Bounds ``(begin, end)`` of mini-batches that follow each other and cover all inputs.

    Each takes ``size`` inputs or, with ``num_tokens``, as many as hold at most that many tokens without
    padding; an input longer than that is a mini-batch by itself.

    Raises:
        InvalidInput: tokens are to be counted, and the features do not tell their number.
    """
    rows = n_rows(features)
    if num_tokens is None:
        return [(begin, min(begin + size, rows)) for begin in range(0, rows, size)]
    ends = _running_tokens(features)
    ranges: Ranges = []
    begin = 0
    while begin < rows:
        spent = ends[begin - 1] if begin else 0
        end = max(bisect.bisect_right(ends, spent + num_tokens), begin + 1)
        ranges.append((begin, end))
        begin = end
    return ranges


def check_mini_batches(size: int | None, num_tokens: int | None) -> None:
    """Refuse sizes that hold nothing.

    Raises:
        InvalidOption: a size is not positive.
    """
    for name, value in (("mini_batch_size", size), ("mini_batch_num_tokens", num_tokens)):
        if value is not None and value <= 0:
            or_none = " or None" if name == "mini_batch_num_tokens" else ""
            raise InvalidOption(f"{name} is {value}; it must be a positive integer{or_none}")


def take_rows(features: Features, begin: int, end: int) -> Features:
    """The features of inputs ``begin`` up to ``end``, without padding columns at the end that none of them
    needs.

    Padding on the left stays: positions may be counted from it.
    """
    end = min(end, n_rows(features))
    if FLAT_BOUNDS in features:
        return _take_flat(features, begin, end)
    other_axes = _bounds_of_items(features, begin, end)
    width, used = _find_used_columns(features, begin, end)
    taken: Features = {}
    for key, value in features.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or key in BATCH_KEYS:
            taken[key] = value
        elif key in other_axes:
            first, last = other_axes[key]
            if first != last:  # inputs without pictures have no pixels at all
                taken[key] = value[first:last]
        elif value.ndim >= 2 and value.shape[1] == width:
            taken[key] = value[begin:end, :used]
        else:
            taken[key] = value[begin:end]
    return taken


def _running_tokens(features: Features) -> list[int]:
    if FLAT_BOUNDS in features:
        return features[FLAT_BOUNDS][1:].tolist()
    if "attention_mask" in features:
        return features["attention_mask"].sum(dim=1).cumsum(dim=0).tolist()
    raise InvalidInput(
        f"mini_batch_num_tokens counts tokens, and the features {sorted(features)} hold neither "
        f"{FLAT_BOUNDS!r} nor 'attention_mask'; use mini_batch_size instead"
    )


def _find_used_columns(features: Features, begin: int, end: int) -> tuple[int | None, int | None]:
    """Width of the token axis and how much of it the rows need; None for no token axis."""
    mask = features.get("attention_mask")
    if not (isinstance(mask, Tensor) and mask.ndim == 2):
        return None, None
    used = mask[begin:end].bool()
    expanded = features.get("query_expansion_positions")
    if isinstance(expanded, Tensor):  # scored although nothing attends to them
        used = used | expanded[begin:end].bool()
    columns = used.any(dim=0).nonzero()
    return mask.shape[1], int(columns.max()) + 1 if len(columns) else mask.shape[1]


# -- tensors with an axis of their own

_GRIDS = (
    ("image_grid_thw", "pixel_values", "num_images_per_sample"),
    ("video_grid_thw", "pixel_values_videos", "num_videos_per_sample"),
)
# One row per picture in models without a grid, unless the processor pads pictures per input.
_PER_PICTURE = ("pixel_values", "image_position_ids", "image_sizes")
_PADDED_PICTURES = ("pixel_attention_mask", "aspect_ratio_ids")


def _bounds_of_items(features: Features, begin: int, end: int) -> dict[str, tuple[int, int]]:
    """Bounds of the rows in tensors that have one per picture, film or patch."""
    bounds: dict[str, tuple[int, int]] = {}
    for grid_key, pixels_key, count_key in _GRIDS:
        grid = features.get(grid_key)
        if grid is None or features.get(pixels_key) is None:
            continue
        counts = features.get(count_key)
        if counts is not None:
            items = _sum_between(counts, begin, end)
        elif grid.shape[0] == n_rows(features):
            items = (begin, end)
        else:
            continue
        bounds[grid_key] = items
        bounds[pixels_key] = _sum_between(grid.prod(dim=1), *items)
    counts, pixels = features.get("num_images_per_sample"), features.get("pixel_values")
    if counts is None or pixels is None or "pixel_values" in bounds:
        return bounds
    if pixels.shape[0] == int(counts.sum()) and not any(key in features for key in _PADDED_PICTURES):
        pictures = _sum_between(counts, begin, end)
        bounds.update({key: pictures for key in _PER_PICTURE if key in features})
    return bounds


def _sum_between(counts: Tensor, begin: int, end: int) -> tuple[int, int]:
    first = int(counts[:begin].sum())
    return first, first + int(counts[begin:end].sum())


def _take_flat(features: Features, begin: int, end: int) -> Features:
    bounds = features[FLAT_BOUNDS]
    first, last, total = int(bounds[begin]), int(bounds[end]), int(bounds[-1])
    new_bounds = bounds[begin : end + 1] - bounds[begin]
    longest = int(torch.diff(new_bounds).max())
    taken: Features = {}
    for key, value in features.items():
        if key in (FLAT_BOUNDS, "cu_seq_lens_k"):
            taken[key] = new_bounds
        elif key in ("max_length_q", "max_length_k"):
            taken[key] = longest
        elif key == "seq_idx":
            taken[key] = value[..., first:last] - begin
        elif isinstance(value, Tensor) and value.ndim >= 1 and value.shape[-1] == total:
            taken[key] = value[..., first:last]
        else:
            taken[key] = value
    return taken
