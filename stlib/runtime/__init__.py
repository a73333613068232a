"""Embedding models without torch, static or exported to ONNX: what search needs, loaded in a fraction of a
second.
"""

from __future__ import annotations

from stlib.runtime.bundled import (
    BUNDLED_MODEL_NAME,
    BUNDLED_RERANKER_NAME,
    close_bundled_name,
    default_model_path,
    default_reranker_path,
)
from stlib.runtime.encoder import Encoder
from stlib.runtime.errors import (
    InvalidModelError,
    MissingDependencyError,
    MissingModelFileError,
    ModelError,
    ModelNotFoundError,
    UnknownPromptError,
    UnknownTaskError,
    UnsupportedModelError,
)
from stlib.runtime.interaction_reranker import InteractionReranker
from stlib.runtime.protocol import (
    EncoderProtocol,
    RerankerProtocol,
    SparseEncoderProtocol,
    SparseRows,
    TokenEncoderProtocol,
)
from stlib.runtime.reranker import Reranker

__all__ = [
    "BUNDLED_MODEL_NAME",
    "BUNDLED_RERANKER_NAME",
    "Encoder",
    "EncoderProtocol",
    "InteractionReranker",
    "InvalidModelError",
    "MissingDependencyError",
    "MissingModelFileError",
    "ModelError",
    "ModelNotFoundError",
    "Reranker",
    "RerankerProtocol",
    "SparseEncoderProtocol",
    "SparseRows",
    "TokenEncoderProtocol",
    "UnknownPromptError",
    "UnknownTaskError",
    "UnsupportedModelError",
    "close_bundled_name",
    "default_model_path",
    "default_reranker_path",
]
