"""One input or many, and how long each is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def is_single(inputs: Any) -> bool:
    """Whether ``inputs`` is one input (text, dict, image, audio array) rather than a collection of inputs.

    A list of chat messages (dicts with ``role`` and ``content``) is one input; lists, tuples, arrays of
    texts, columns of data frames and data sets, and generators are collections.
    """
    if isinstance(inputs, (str, bytes, dict)):
        return True
    if isinstance(inputs, (list, tuple)):
        first = inputs[0] if inputs else None
        return isinstance(first, dict) and {"role", "content"} <= set(first)
    if isinstance(inputs, np.ndarray):
        return inputs.ndim == 0 or inputs.dtype.kind not in "UO"
    # tensors and images have a shape or size of their own
    return not isinstance(inputs, Iterable) or hasattr(inputs, "nelement") or hasattr(inputs, "getpixel")


def as_list(inputs: Any) -> tuple[list[Any], bool]:
    """The inputs as a list, and whether there was a single one."""
    if is_single(inputs):
        return [inputs.item() if isinstance(inputs, np.ndarray) and inputs.ndim == 0 else inputs], True
    return (inputs.tolist() if isinstance(inputs, np.ndarray) else list(inputs)), False


def text_length(item: Any) -> int | None:
    """Characters of a text, of all texts of a pair, or of the values of a dict; None if there is no text."""
    if isinstance(item, str):
        return len(item)
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, (list, tuple)) else ()
    lengths = [len(part) for part in parts if isinstance(part, str)]
    return sum(lengths) if lengths else None
