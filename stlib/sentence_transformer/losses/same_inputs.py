"""Which inputs of two columns are the same, by their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from stlib.base.losses.feature_rows import FLAT_BOUNDS
from stlib.errors import InvalidInput


def same_inputs(first: dict[str, Any], second: dict[str, Any]) -> Tensor:
    """``[n]``: 1.0 where row i of both features dicts has the same tokens, padding aside, else 0.0.

    Raises:
        InvalidInput: the features hold no tokens, or a different number of inputs.
    """
    rows = [list(_rows_of_tokens(features)) for features in (first, second)]
    if len(rows[0]) != len(rows[1]):
        raise InvalidInput(f"the columns of a batch have {len(rows[0])} and {len(rows[1])} inputs")
    same = [torch.equal(one, other) for one, other in zip(*rows, strict=True)]
    return torch.tensor(same, dtype=torch.float32, device=first["input_ids"].device)


def _rows_of_tokens(features: dict[str, Any]) -> Iterator[Tensor]:
    tokens = features.get("input_ids")
    if not isinstance(tokens, Tensor):
        raise InvalidInput(
            f"inputs with the features {sorted(features)} cannot be compared by tokens; give the dataset a "
            "column 'label' with 1 for equal inputs and 0 for others"
        )
    if FLAT_BOUNDS in features:
        yield from _between(tokens.reshape(-1), features[FLAT_BOUNDS].tolist())
    elif "offsets" in features:
        yield from _between(tokens, [*features["offsets"].tolist(), len(tokens)])
    elif isinstance(features.get("attention_mask"), Tensor):
        for row, mask in zip(tokens, features["attention_mask"].bool(), strict=True):
            yield row[mask]
    else:
        yield from tokens


def _between(tokens: Tensor, bounds: list[int]) -> Iterator[Tensor]:
    for begin, end in pairwise(bounds):
        yield tokens[begin:end]
