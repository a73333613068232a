"""What an index needs from an embedding model, and nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

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


class SparseRows(NamedTuple):
    """Weighted terms of n texts, row after row: those of text `i` are `terms[starts[i] : starts[i + 1]]`.

    Attributes:
        starts: int64 [n + 1].
        terms: int32 [all], numbers of the vocabulary, ascending within a text and distinct.
        weights: float32 [all], above 0.
    """

    starts: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        """Of texts."""
        return len(self.starts) - 1

    def row(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Terms and weights of one text."""
        here = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return self.terms[here], self.weights[here]


@runtime_checkable
class SparseEncoderProtocol(Protocol):
    """A model that turns texts into weighted terms; two texts are as alike as the dot product of theirs."""

    @property
    def name(self) -> str:
        """Human-readable name, for messages only."""

    @property
    def dimension(self) -> int:
        """Size of the vocabulary."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of everything that decides the weights; equal on every machine."""

    def encode_query(self, texts: Sequence[str]) -> SparseRows:
        """Terms of questions, in the order of `texts`."""

    def encode_document(self, texts: Sequence[str]) -> SparseRows:
        """Terms of the texts that questions are asked about."""

    def words(self, terms: Sequence[int]) -> list[str]:
        """What people read in place of a term."""


@runtime_checkable
class TokenEncoderProtocol(Protocol):
    """A model of late interaction: a vector for each token of a text."""

    @property
    def name(self) -> str:
        """Human-readable name, for messages only."""

    @property
    def dimension(self) -> int:
        """Width of the vectors."""

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of everything that decides the vectors; equal on every machine."""

    def encode_query(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """For each question float32 ``[tokens, dimension]``, at least one token."""

    def encode_document(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """For each text float32 ``[tokens, dimension]``; none where its mask leaves no token."""


@runtime_checkable
class RerankerProtocol(Protocol):
    """What a reranker must offer to re-order what a collection found."""

    @property
    def name(self) -> str:
        """Human-readable name, for messages only."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers: float32 ``[len(passages)]``, in order; larger is better."""
