"""One input or many, and how long each is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from stlib.base.modality.kinds import MEDIA_SUFFIXES


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
    """Characters of a text, of both texts of a pair, or of a dict that holds texts only; None for pictures,
    sounds, films (also as the path of a file) and conversations, whose work is no matter of characters.
    """
    if isinstance(item, str):
        return None if _is_media_file(item) else len(item)
    if isinstance(item, dict):
        parts = [] if _OTHER_THAN_TEXT & set(item) else list(item.values())
    else:
        parts = list(item) if isinstance(item, (list, tuple)) else []
    lengths = [len(part) for part in parts if isinstance(part, str)]
    return sum(lengths) if lengths and len(lengths) == len(parts) else None


# Keys of inputs that are, or may be, more than texts.
_OTHER_THAN_TEXT = frozenset({"image", "audio", "video", "array", "role", "content"})


def _is_media_file(text: str) -> bool:
    """Whether a text is the path of a picture, sound or film that exists."""
    # Every text passes here, so only its end is looked at first.
    return text[-5:].lower().endswith(MEDIA_SUFFIXES) and os.path.isfile(text)  # noqa: PTH113 - False where Path raises
