"""What a load's processes are told: plain values, from which each makes its own objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import indexing.errors
from indexing.beside.coders import Coder, SparseCoder, TokenCoder
from indexing.beside.models import BesideModel, read_beside
from indexing.beside.token_codes import TokenCodec
from indexing.catalog.generations import GenerationInfo
from indexing.documents import ChunkSettings
from indexing.errors import BadInput, IndexingError, ModelMismatch, StorageError
from indexing.generations.makers import EmbeddingMaker
from indexing.models.beside import load_beside, source_of_beside
from indexing.models.encoders import is_object_mark, load_encoder
from indexing.models.trust import recorded_source, trusted_source
from indexing.names import NO_MODEL
from indexing.quantization import Codec
from indexing.session import Live
from stlib.runtime import BUNDLED_MODEL_NAME

__all__ = ["MakerSettings", "WorkSettings", "check_models", "error_from_row", "error_to_row"]


@dataclass(frozen=True)
class MakerSettings:
    """How texts become codes of one generation. Where models lie was decided at the driver, by what a person
    gave there: a worker opens these places and takes nothing but the models of these fingerprints.
    """

    generation: int
    source: str | None
    fingerprint: str
    chunking: dict[str, Any]
    codec: str
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, live: Live) -> MakerSettings:
        """Of what is live, which has its ranges.

        Raises:
            BadInput: the collection has no model that other processes could load.
            UntrustedModel: nobody used its model on this machine.
        """
        generation, codec = live.generation, live.codec
        if codec is None:
            raise StorageError(f"generation {generation.id} has no ranges yet")
        source, beside = check_models(generation)
        chunking = dict(generation.chunking)
        return cls(generation.id, source, generation.fingerprint, chunking, codec.to_json(), beside)

    def load(self) -> EmbeddingMaker:
        """Loads the models, in this process.

        Raises:
            BadInput: one cannot be loaded from where it lies.
            ModelMismatch: another one lies there.
        """
        encoder = load_encoder(self.source, fingerprint=self.fingerprint)
        if encoder.fingerprint != self.fingerprint:
            raise _mismatch(self.source or BUNDLED_MODEL_NAME, self.fingerprint, encoder.fingerprint)
        coders = {role: _load_coder(role, BesideModel(**said)) for role, said in self.beside.items()}
        return EmbeddingMaker(encoder, ChunkSettings(**self.chunking), Codec.from_json(self.codec), coders)


@dataclass(frozen=True)
class WorkSettings:
    """What every process of a load knows.

    Attributes:
        name, home, db: of the collection, as `Collection.open` takes them; `db` may hold a password.
        uuid: of the collection; whatever has its name on another machine is another one.
        load: as `Load.to_json` wrote it.
        maker: how texts become codes.
        threads: that a worker computes with.
        direct: whether workers store by themselves; else the foreman does it for all.
        alone: whether the instance of Ray is of this load, so that nobody else computes in it.
    """

    name: str
    uuid: str
    home: str | None
    db: str | None = field(repr=False)
    load: dict[str, Any]
    maker: MakerSettings
    threads: int
    direct: bool
    alone: bool = False

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> WorkSettings:
        raw = json.loads(text)
        return cls(**{**raw, "maker": MakerSettings(**raw["maker"])})


def error_to_row(error: IndexingError) -> dict[str, Any]:
    """An error of ours as plain values: its class by name, and its sentence."""
    return {"error": type(error).__name__, "message": str(error)}


def error_from_row(row: Mapping[str, Any]) -> IndexingError:
    """The error that `error_to_row` wrote; of a class that takes more than a sentence, its base."""
    kind: Any = getattr(indexing.errors, str(row["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, IndexingError)):
        return StorageError(str(row["message"]))
    try:
        return kind(row["message"])
    except TypeError:
        return BadInput(str(row["message"]))


def check_models(generation: GenerationInfo) -> tuple[str | None, dict[str, dict[str, Any]]]:
    """Where the models of a generation lie, as far as a person of this machine has said so: that of its
    vectors (None for the bundled one), and those of what passages have beside them.

    Raises:
        BadInput: other processes cannot load them.
        UntrustedModel: nobody used them on this machine.
    """
    if generation.fingerprint == NO_MODEL:
        raise BadInput("a collection that was made with dimension= has no model that a load could use")
    beside = {
        role: {**vars(model), "model": source_of_beside(role, model)}
        for role, model in read_beside(generation.beside).items()
    }
    return _source(generation), beside


def _source(generation: GenerationInfo) -> str | None:
    """Where the model lies; None for the bundled one."""
    if recorded_source(generation.fingerprint) is None:
        if generation.model == BUNDLED_MODEL_NAME:
            return None
        if is_object_mark(generation.model):
            raise BadInput(
                "the model of this collection was an object in memory, which no other process can load: save"
                " it, and make the collection with its folder"
            )
    return trusted_source(generation.model, generation.fingerprint)


def _load_coder(role: str, model: BesideModel) -> Coder:
    encoder = load_beside(role, model.model, model.fingerprint)
    if encoder.fingerprint != model.fingerprint:
        raise _mismatch(model.model, model.fingerprint, encoder.fingerprint)
    if role == "sparse":
        return SparseCoder(encoder)
    return TokenCoder(encoder, TokenCodec.from_settings(model.settings, model.dimension))


def _mismatch(source: str, wanted: str, found: str) -> ModelMismatch:
    return ModelMismatch(
        f"the collection was made with the model of fingerprint {wanted[:12]}, but in {source} is now"
        f" {found[:12]}: put the right one there"
    )
