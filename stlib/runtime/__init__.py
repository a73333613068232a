"""Static embedding models without torch: what search needs, loaded in a fraction of a second."""

from __future__ import annotations

from stlib.runtime.bundled import BUNDLED_MODEL_NAME, default_model_path
from stlib.runtime.encoder import Encoder
from stlib.runtime.errors import (
    InvalidModelError,
    MissingModelFileError,
    ModelError,
    ModelNotFoundError,
    UnknownPromptError,
    UnsupportedModelError,
)
from stlib.runtime.protocol import EncoderProtocol

__all__ = [
    "BUNDLED_MODEL_NAME",
    "Encoder",
    "EncoderProtocol",
    "InvalidModelError",
    "MissingModelFileError",
    "ModelError",
    "ModelNotFoundError",
    "UnknownPromptError",
    "UnsupportedModelError",
    "default_model_path",
]
