"""Which kind of input something is: text, image, audio, video, messages, or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stlib.errors import InvalidInput

MODALITIES = ("text", "image", "audio", "video", "message")

_SUFFIXES = {
    "image": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    "audio": (".wav", ".mp3", ".flac", ".ogg", ".m4a"),
    "video": (".mp4", ".avi", ".mov", ".mkv", ".webm"),
}
# Number of axes of an array: samples (and channels), one picture, pictures in a row.
_AXES = {1: "audio", 2: "audio", 3: "image", 4: "video", 5: "video"}


def infer_modality(sample: Any, supported_modalities: Sequence[Any] | None = None) -> Any:
    """The kind of one input: a name, or a sorted tuple of names for a dict with several.

    Args:
        sample: a text, pair, picture, array, message, or a dict from kind to any of these.
        supported_modalities: a path or address counts as the picture, sound or film it names only for a model
            that takes those; for others it is a text.

    Raises:
        InvalidInput: it is none of these.
    """
    if isinstance(sample, str):
        return _of_text(sample, supported_modalities or ())
    if isinstance(sample, dict):
        return _of_dict(sample)
    if isinstance(sample, (list, tuple)) and sample:
        kinds = {infer_modality(part, supported_modalities) for part in sample}
        return kinds.pop() if len(kinds) == 1 else _joined(kinds)
    if hasattr(sample, "getpixel"):  # a picture of PIL, which need not be installed
        return "image"
    is_array = isinstance(sample, np.ndarray) or hasattr(sample, "nelement")
    if is_array and sample.ndim in _AXES:
        return _AXES[sample.ndim]
    raise InvalidInput(
        f"a {type(sample).__name__} is no input; pass a text, picture, sound, film, or a dict of them"
    )


def infer_batch_modality(samples: Sequence[Any], supported_modalities: Sequence[Any] | None = None) -> Any:
    """The kind that all inputs of a batch share.

    Raises:
        InvalidInput: they are of several kinds.
    """
    kinds = {infer_modality(sample, supported_modalities) for sample in samples}
    if len(kinds) != 1:
        shown = ", ".join(sorted(map(format_modality, kinds))) or "nothing"
        raise InvalidInput(f"one batch holds {shown}; encode inputs of different kinds in calls of their own")
    return kinds.pop()


def format_modality(modality: Any) -> str:
    """A kind as text: its name, or names joined by ``+``."""
    return modality if isinstance(modality, str) else "+".join(modality)


def _of_text(text: str, supported: Sequence[Any]) -> str:
    end = text.lower().partition("?")[0]
    for kind, suffixes in _SUFFIXES.items():
        if kind in supported and end.endswith(suffixes):
            return kind
    return "text"


def _of_dict(sample: dict[str, Any]) -> Any:
    if {"role", "content"} <= set(sample):
        return "message"
    if {"array", "sampling_rate"} <= set(sample):
        return "audio"
    if sample and set(sample) <= set(MODALITIES):
        return _joined(set(sample))
    raise InvalidInput(
        f"a dict with the keys {sorted(map(str, sample))} is no input; keys are {', '.join(MODALITIES)}"
    )


def _joined(kinds: set[Any]) -> Any:
    names = sorted({name for kind in kinds for name in ((kind,) if isinstance(kind, str) else kind)})
    return names[0] if len(names) == 1 else tuple(names)
