"""The models a collection can embed with, behind the one protocol that indexing knows.

A static model runs on `stlib.runtime` without torch; anything else is loaded by `stlib.SentenceTransformer`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.errors import BadInput, IndexingError
from stlib.runtime import (
    BUNDLED_MODEL_NAME,
    Encoder,
    EncoderProtocol,
    ModelError,
    ModelNotFoundError,
    UnsupportedModelError,
)

if TYPE_CHECKING:
    from stlib import SentenceTransformer

__all__ = ["FullModelEncoder", "load_encoder", "normalised"]


def load_encoder(
    model: str | os.PathLike[str] | EncoderProtocol | SentenceTransformer | None,
) -> EncoderProtocol:
    """The encoder for `model`: None is the bundled one, a string a folder or a model name.

    Raises:
        BadInput: there is no such model, or the object cannot encode.
    """
    if model is None or isinstance(model, (str, os.PathLike)):
        return _load_named(model)
    if isinstance(model, EncoderProtocol):
        return model
    if hasattr(model, "encode_document") and hasattr(model, "tokenizer"):
        return FullModelEncoder(model)
    raise BadInput(f"model {model!r}: give a folder, a model name, an stlib Encoder or a SentenceTransformer")


def _load_named(model: str | os.PathLike[str] | None) -> EncoderProtocol:
    try:
        return Encoder.load(model)
    except ModelError as error:
        if model is not None and isinstance(error, (UnsupportedModelError, ModelNotFoundError)):
            return _load_full(str(model))
        raise BadInput(f"model {str(model or BUNDLED_MODEL_NAME)!r} cannot be loaded: {error}") from error


def _load_full(model: str) -> FullModelEncoder:
    """A model that the torch-free runtime does not know: a transformer, or one that is still on a hub."""
    from stlib import SentenceTransformer

    try:
        return FullModelEncoder(SentenceTransformer(model), name=model)
    except Exception as error:  # the hub's client lets the errors of its HTTP library through
        raise BadInput(f"model {model!r} cannot be loaded: {' '.join(str(error).split())}") from error


class FullModelEncoder:
    """A SentenceTransformer in the encoder protocol."""

    def __init__(self, model: SentenceTransformer, name: str | None = None) -> None:
        self._model = model
        dimension = model.get_embedding_dimension()
        if not dimension:
            raise BadInput(
                "the model does not say its embedding dimension; use one with a pooling or dense module"
            )
        self.dimension = int(dimension)
        self.name = name or "SentenceTransformer"
        self.prompts: dict[str, str] = dict(model.prompts)
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """sha256 over the names, shapes and values of the weights and over the prompts."""
        if self._fingerprint is None:
            digest = hashlib.sha256(repr(sorted(self.prompts.items())).encode())
            for name, tensor in sorted(self._model.state_dict().items()):
                digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
                digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def encode(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return self._model.encode(list(texts), show_progress_bar=False, **options)

    def encode_query(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return self._model.encode_query(list(texts), show_progress_bar=False, **options)

    def encode_document(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return self._model.encode_document(list(texts), show_progress_bar=False, **options)

    def token_spans(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Character offsets [n_tokens, 2] of each text's tokens, special tokens left out.

        Raises:
            IndexingError: the model's tokenizer has no offsets (it is a slow, pure Python one).
        """
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", True):
            raise IndexingError(
                f"model {self.name!r}: its tokenizer gives no character offsets; convert it to a fast one"
            )
        encoded = tokenizer(
            list(texts),
            add_special_tokens=False,
            return_offsets_mapping=True,
            truncation=False,
            verbose=False,
        )
        return [np.asarray(spans, dtype=np.int32).reshape(-1, 2) for spans in encoded["offset_mapping"]]


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; a zero row stays zero, so it is similar to nothing."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
