"""Types of what models take, for annotations of code that hands inputs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np
from torch import Tensor

from stlib.base.modality.kinds import MessageDict

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
else:
    try:
        from PIL.Image import Image as Picture
    except ImportError:  # pictures are optional
        Picture = np.ndarray

__all__ = [
    "MODALITY_TO_PROCESSOR_ARG",
    "MULTIMODAL_DICT_KEYS",
    "AudioDict",
    "AudioInput",
    "ImageInput",
    "MessageDict",
    "MessageFormat",
    "MessageInput",
    "Modality",
    "MultimodalInput",
    "PairInput",
    "PairableInput",
    "ProcessorArgName",
    "SingleInput",
    "TextInput",
    "VideoDict",
    "VideoInput",
]

TextInput: TypeAlias = str
ImageInput: TypeAlias = str | Picture | np.ndarray | Tensor
"""A path or address, a picture of PIL, or an array ``[height, width, channels]``."""


class AudioDict(TypedDict):
    """A sound: ``array [samples]`` or ``[channels, samples]``, so many samples per second."""

    array: np.ndarray | Tensor
    sampling_rate: int


class VideoDict(TypedDict):
    """A film: its pictures in a row, and what is known of them, e.g. ``{"fps": 25}``."""

    array: np.ndarray | Tensor | list[Any] | tuple[Any, ...]
    video_metadata: dict[str, Any] | None


# A decoder of torchcodec has no common type without that package.
AudioInput: TypeAlias = str | np.ndarray | Tensor | AudioDict | Any
VideoInput: TypeAlias = (
    str | np.ndarray | Tensor | VideoDict | list[ImageInput] | tuple[ImageInput, ...] | Any
)
MessageInput: TypeAlias = MessageDict | list[MessageDict]


class MultimodalInput(TypedDict, total=False):
    """One input of several kinds; several pictures or the like may stand under one key."""

    text: TextInput | list[TextInput] | tuple[TextInput, ...]
    image: ImageInput | list[ImageInput] | tuple[ImageInput, ...]
    audio: AudioInput | list[AudioInput] | tuple[AudioInput, ...]
    video: VideoInput | list[VideoInput] | tuple[VideoInput, ...]


SingleInput: TypeAlias = TextInput | ImageInput | AudioInput | VideoInput | MessageInput | MultimodalInput
PairableInput: TypeAlias = TextInput | ImageInput | AudioInput | VideoInput | MultimodalInput
PairInput: TypeAlias = tuple[PairableInput, PairableInput] | list[PairableInput]
"""What a reranker reads together."""

_Kind: TypeAlias = Literal["text", "image", "audio", "video"]
Modality: TypeAlias = _Kind | Literal["message"] | tuple[_Kind, ...]
ProcessorArgName: TypeAlias = Literal["text", "images", "audio", "videos", "message"]
MessageFormat: TypeAlias = Literal["auto", "structured", "flat"]

MODALITY_TO_PROCESSOR_ARG: dict[Modality, ProcessorArgName] = {
    "text": "text",
    "image": "images",
    "audio": "audio",
    "video": "videos",
    "message": "message",
}
"""The keyword under which a processor of transformers takes a kind of input."""
MULTIMODAL_DICT_KEYS = frozenset({"text", "image", "audio", "video"})
"""Keys of an input of several kinds."""
