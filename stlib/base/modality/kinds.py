"""Which kind of input something is: text, image, audio, video, messages, or several at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NoReturn, TypedDict
from urllib.parse import urlparse

import numpy as np

from stlib.errors import InvalidInput

MODALITIES = ("text", "image", "audio", "video", "message")

# Keys of a dict that holds one input of several kinds.
_PARTS = frozenset({"text", "image", "audio", "video"})

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")
_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".wmv", ".flv", ".mkv", ".webm")
_AUDIO_SUFFIXES = (".mp3", ".wav", ".ogg", ".flac", ".aac", ".m4a")
MEDIA_SUFFIXES = _IMAGE_SUFFIXES + _VIDEO_SUFFIXES + _AUDIO_SUFFIXES
_VIDEO_HOSTS = ("www.youtube.com", "youtube.com", "m.youtube.com", "youtu.be")

# Number of axes of an array: samples (and channels), one picture, pictures in a row (of several films).
_AXES = {1: "audio", 2: "audio", 3: "image", 4: "video", 5: "video"}


class MessageDict(TypedDict):
    """One message of a conversation: who speaks, and a text or typed parts like ``{"type": "image", …}``."""

    role: str
    content: str | list[dict[str, Any]]


def is_url(text: str) -> bool:
    """Whether a text is a web address and nothing else."""
    return text.startswith(("http://", "https://")) and " " not in text


def is_image_url_or_path(text: str) -> bool:
    """Whether a text is the address, the existing file or the data URI of a picture."""
    return text.startswith("data:image/") or _names_media(text, _IMAGE_SUFFIXES)


def is_video_url_or_path(text: str) -> bool:
    """Whether a text is the address or the existing file of a film."""
    return _names_media(text, _VIDEO_SUFFIXES) or (is_url(text) and _address(text)[0] in _VIDEO_HOSTS)


def is_audio_url_or_path(text: str) -> bool:
    """Whether a text is the address or the existing file of a sound."""
    return _names_media(text, _AUDIO_SUFFIXES)


def is_message_dict(value: Any) -> bool:
    """Whether a value is one message of a conversation."""
    return isinstance(value, dict) and "role" in value and "content" in value


def infer_modality(sample: Any, supported_modalities: Sequence[Any] | None = None) -> Any:
    """The kind of one input: a name, or a sorted tuple of names for a dict with several.

    Args:
        sample: a text, pair of texts, picture, array, message or conversation, ``{"array",
            "sampling_rate"}``, ``{"array", "video_metadata"}``, or a dict from kind to any of these.
        supported_modalities: a path or address counts as the picture, sound or film it names only for a model
            that takes those, and is a text for others; None: any kind is taken.

    Raises:
        InvalidInput: it is none of these.
    """
    if isinstance(sample, str):
        return _of_text(sample, supported_modalities)
    if isinstance(sample, dict):
        return _of_dict(sample)
    if _is_text_pair(sample):
        return "text"
    if isinstance(sample, list) and sample and is_message_dict(sample[0]):
        return "message"
    if hasattr(sample, "getpixel"):  # a picture of PIL, which need not be installed
        return "image"
    if type(sample).__module__.startswith("torchcodec"):
        return "audio" if "Audio" in type(sample).__name__ else "video"
    if isinstance(sample, np.ndarray) or hasattr(sample, "nelement"):
        if sample.ndim in _AXES:
            return _AXES[sample.ndim]
        raise InvalidInput(
            f"an array of {sample.ndim} axes is no input; sounds have 1 or 2, pictures 3, films 4 or 5"
        )
    raise InvalidInput(
        f"a {type(sample).__name__} is no input; pass a text, picture, sound, film, or a dict of them"
    )


def infer_batch_modality(samples: Sequence[Any], supported_modalities: Sequence[Any] | None = None) -> Any:
    """The kind that all inputs of a batch share; ``"message"`` for several kinds, which only messages join.

    Raises:
        InvalidInput: an input is of no kind.
    """
    kinds = {infer_modality(sample, supported_modalities) for sample in samples} or {"text"}
    return kinds.pop() if len(kinds) == 1 else "message"


def format_modality(modality: Any) -> str:
    """A kind as text: its name, or names joined by ``+``."""
    return modality if isinstance(modality, str) else "+".join(modality)


def is_frames(value: Any) -> bool:
    """Whether a value is a list of pictures, the frames of one film."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    try:
        return all(infer_modality(frame) == "image" for frame in value)
    except InvalidInput:
        return False


def raise_unsupported_modality_error(
    inputs: Sequence[Any], modality: Any, supported_modalities: Sequence[Any], source: str
) -> NoReturn:
    """Raise the error that fits a batch that ``source`` does not take.

    Args:
        inputs: the batch.
        modality: its kind, from :func:`infer_batch_modality`.
        supported_modalities: what is taken.
        source: who refuses, e.g. ``"SentenceTransformer model"``.

    Raises:
        InvalidInput: always.
    """
    allowed = f"it takes: {', '.join(map(format_modality, supported_modalities))}"
    kinds = _kinds_of(inputs, supported_modalities) if modality == "message" else {modality}
    shown = ", ".join(sorted(map(format_modality, kinds)))
    parts = {part for kind in kinds for part in ((kind,) if isinstance(kind, str) else kind)}
    if "message" in parts:
        raise InvalidInput(
            f"this {source} takes no chat messages (dicts with 'role' and 'content'); {allowed}"
        )
    foreign = sorted(parts - set(supported_modalities))
    if not foreign and len(kinds) > 1:
        raise InvalidInput(
            f"one batch holds {shown}, which this {source} cannot take at once; "
            "encode inputs of each kind in a call of their own"
        )
    if not foreign:
        raise InvalidInput(
            f"this {source} takes {' and '.join(sorted(parts))}, but not joined in one input; "
            "encode each in a call of its own"
        )
    raise InvalidInput(f"this {source} does not take {shown}; {allowed}")


def _kinds_of(inputs: Sequence[Any], supported: Sequence[Any]) -> set[Any]:
    try:
        return {infer_modality(sample, supported) for sample in inputs} or {"message"}
    except InvalidInput:
        return {"message"}


def _names_media(text: str, suffixes: tuple[str, ...]) -> bool:
    if is_url(text):
        return _address(text)[1].lower().endswith(suffixes)
    return text.lower().endswith(suffixes) and os.path.isfile(text)  # noqa: PTH113 - False where Path raises (long texts)


def _address(url: str) -> tuple[str, str]:
    """Host and path of an address; empty for one that is malformed."""
    try:
        parsed = urlparse(url)
    except ValueError:
        return "", ""
    return parsed.netloc, parsed.path


def _of_text(text: str, supported: Sequence[Any] | None) -> str:
    tests = {
        "image": is_image_url_or_path,
        "video": is_video_url_or_path,
        "audio": is_audio_url_or_path,
    }
    for kind, names in tests.items():
        if (supported is None or kind in supported) and names(text):
            return kind
    return "text"


def _of_dict(sample: dict[str, Any]) -> Any:
    if is_message_dict(sample):
        return "message"
    if "array" in sample and "sampling_rate" in sample:
        return "audio"
    if "array" in sample and "video_metadata" in sample:
        return "video"
    if not sample:
        raise InvalidInput("an empty dict is no input; pass e.g. {'text': …, 'image': …}")
    foreign = sorted(map(str, set(sample) - _PARTS))
    if foreign:
        raise InvalidInput(
            f"a dict with the keys {sorted(map(str, sample))} is no input; "
            f"keys are {', '.join(sorted(_PARTS))}; "
            "a sound with its rate is {'array': …, 'sampling_rate': …}, "
            "a film with its data {'array': …, 'video_metadata': …}"
        )
    return next(iter(sample)) if len(sample) == 1 else tuple(sorted(sample))


def _is_text_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(p, str) for p in value)
