"""The encoders of one open collection: loaded when they are needed, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from indexing.beside.coders import Coder, SparseCoder, TokenCoder
from indexing.beside.models import read_beside
from indexing.beside.token_codes import TokenCodec
from indexing.catalog.generations import GenerationInfo
from indexing.errors import BadInput
from indexing.models.beside import load_trusted_beside
from indexing.models.encoders import load_trusted_encoder
from indexing.names import NO_MODEL
from indexing.opening import check_model
from stlib.runtime import EncoderProtocol
from stlib.util.forks import ThreadLock

__all__ = ["NO_MODEL", "Encoders"]


class Encoders:
    """Encoders by fingerprint. Threads may share it."""

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self._held: dict[str, EncoderProtocol] = {}
        self._beside: dict[tuple[str, str], Any] = {}
        self._lock = ThreadLock()

    def hold(self, encoder: EncoderProtocol) -> None:
        """Use this one, which a person gave, wherever its fingerprint is asked for."""
        self._held[encoder.fingerprint] = encoder

    def hold_beside(self, role: str, encoder: Any) -> None:
        """Use this one, which a person gave, for a role wherever its fingerprint is asked for."""
        self._beside[role, encoder.fingerprint] = encoder

    def beside(self, generation: GenerationInfo, role: str) -> Any:
        """The model of a role that `generation` has: a `SparseEncoderProtocol`, or a `TokenEncoderProtocol`.

        Raises:
            BadInput: it cannot be loaded.
            ModelMismatch: the model that is installed under this name now is another one.
            UntrustedModel: it is not bundled, and nobody used it on this machine.
        """
        model = read_beside(generation.beside)[role]
        with self._lock:
            encoder = self._beside.get((role, model.fingerprint))
            if encoder is None:
                encoder = load_trusted_beside(role, model)
                self._beside[role, model.fingerprint] = encoder
            return encoder

    def coders(self, generation: GenerationInfo, roles: Sequence[str]) -> dict[str, Coder]:
        """What makes the codes of `roles`, which `generation` has.

        Raises:
            BadInput, ModelMismatch, UntrustedModel: as `beside`.
        """
        return {role: self._coder(generation, role) for role in roles}

    def _coder(self, generation: GenerationInfo, role: str) -> Coder:
        if role == "sparse":
            return SparseCoder(self.beside(generation, role))
        model = read_beside(generation.beside)[role]
        return TokenCoder(
            self.beside(generation, role), TokenCodec.from_settings(model.settings, model.dimension)
        )

    def held(self, generation: GenerationInfo) -> EncoderProtocol | None:
        """The encoder of `generation` if it is loaded already."""
        return self._held.get(generation.fingerprint)

    def of(self, generation: GenerationInfo) -> EncoderProtocol:
        """The encoder that `generation` was made with.

        Raises:
            BadInput: it has none, or it cannot be loaded.
            ModelMismatch: the model that is installed under this name now is another one.
            UntrustedModel: it is not bundled, and nobody used it on this machine.
        """
        if generation.fingerprint == NO_MODEL:
            raise BadInput(
                f"collection {self._collection!r} was made without a model (dimension="
                f"{generation.dimension}): search with vector=, add with vectors=, or use mode 'keyword'"
            )
        with self._lock:
            encoder = self._held.get(generation.fingerprint)
            if encoder is None:
                encoder = load_trusted_encoder(generation.model, generation.fingerprint)
                check_model(encoder, generation, self._collection)
                self._held[generation.fingerprint] = encoder
            return encoder

    def to_embed_stored(self, generation: GenerationInfo) -> EncoderProtocol:
        """The same, to make codes for `generation` of texts that the collection has.

        Raises:
            BadInput: also where vectors that somebody brought exist in another precision only.
        """
        if generation.fingerprint == NO_MODEL:
            raise BadInput(
                f"generation {generation.id} ({generation.precision}) of collection {self._collection!r}"
                " cannot be served again: what was added since has vectors of somebody's own, which exist in"
                " the coarser precision only. Reindex with a model, or give these documents with their"
                " vectors to a new collection"
            )
        return self.of(generation)
