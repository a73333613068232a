"""What makes the codes of a passage beside the one of its vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from indexing.beside.sparse_codes import encode_sparse
from indexing.beside.token_codes import TokenCodec
from indexing.errors import BadInput
from stlib.runtime import SparseEncoderProtocol, TokenEncoderProtocol

__all__ = ["Coder", "Coders", "SparseCoder", "TokenCoder"]


_PORTION = 256


class Coder(Protocol):
    """Makes the codes of one role."""

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        """A code for each passage, title and text as they are embedded; in order."""
        ...


Coders: TypeAlias = Mapping[str, Coder]
"""By role."""


@dataclass(frozen=True)
class SparseCoder:
    """Weighted terms."""

    encoder: SparseEncoderProtocol

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        try:
            return encode_sparse(self.encoder.encode_document(texts), self.encoder.dimension)
        except ValueError as error:
            raise BadInput(f"model {self.encoder.name!r} gives no weighted terms: {error}") from error


@dataclass(frozen=True)
class TokenCoder:
    """Vectors of tokens."""

    encoder: TokenEncoderProtocol
    codec: TokenCodec

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        # Vectors take some twenty times what their codes do: they are not held for many passages at once.
        portions = (texts[first : first + _PORTION] for first in range(0, len(texts), _PORTION))
        try:
            return [
                code
                for portion in portions
                for code in self.codec.encode(self.encoder.encode_document(portion))
            ]
        except ValueError as error:
            raise BadInput(f"model {self.encoder.name!r} gives no vectors of tokens: {error}") from error
