"""What an index needs from an embedding model, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class EncoderProtocol(Protocol):
    """An embedding model as seen by an index: named, fingerprinted, and able to encode two kinds of text.

    Implementations return float32 arrays of shape ``[len(texts), dimension]`` in the order of ``texts``,
    also for an empty sequence (shape ``[0, dimension]``).
    """

    @property
    def name(self) -> str:
        """Human-readable name, for messages only: two models may share it."""

    @property
    def dimension(self) -> int:
        """Width of the vectors."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of everything that decides the vectors; equal on every machine."""

    def encode_query(
        self, texts: Sequence[str], *, truncate_dim: int | None = None, normalize_embeddings: bool = False
    ) -> NDArray[np.float32]:
        """Vectors of questions."""

    def encode_document(
        self, texts: Sequence[str], *, truncate_dim: int | None = None, normalize_embeddings: bool = False
    ) -> NDArray[np.float32]:
        """Vectors of the texts that questions are asked about."""

    def token_spans(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Character offsets ``[n_tokens, 2]`` (start, end) of every token, one array per text."""


@runtime_checkable
class RerankerProtocol(Protocol):
    """What a reranker must offer to re-order what a collection found."""

    @property
    def name(self) -> str:
        """Human-readable name, for messages only."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers: float32 ``[len(passages)]``, in order; larger is better."""
