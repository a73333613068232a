"""Making a generation beside the live one: found or created, calibrated, and brought up to the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from indexing import faults
from indexing.beside.coders import Coders
from indexing.catalog.database import writing
from indexing.catalog.generations import (
    BUILDING,
    GenerationInfo,
    create_generation,
    set_codec,
)
from indexing.catalog.locks import Lock, writer_lock
from indexing.documents import ChunkSettings
from indexing.generations.calibrate import calibrate_on_codes, calibrate_on_corpus
from indexing.generations.existing import read_existing
from indexing.generations.makers import ConvertingMaker, EmbeddingMaker, FollowingMaker, is_convertible
from indexing.generations.plan import Plan, choose_work
from indexing.quantization import Codec
from indexing.session import Live, Session
from stlib.runtime import EncoderProtocol

__all__ = [
    "Models",
    "begin_generation",
    "build_lock",
    "calibrate",
    "choosing_lock",
    "following_maker",
]


class Models(Protocol):
    """Loads the models of a generation, once it turns out that they are needed."""

    def to_embed_stored(self, generation: GenerationInfo) -> EncoderProtocol:
        """What makes its vectors of texts that the collection has."""
        ...

    def coders(self, generation: GenerationInfo, roles: Sequence[str]) -> Coders:
        """What makes the codes of `roles`, which the generation has."""
        ...


def build_lock(session: Session, generation_id: int) -> Lock:
    """Held by whoever builds this generation."""
    what = f"generation {generation_id} of collection {session.name!r}"
    return writer_lock(session.database, session.place, f"build-{generation_id}", what)


def choosing_lock(session: Session) -> Lock:
    """Held for the moment in which one finds or creates the generation to build."""
    what = f"a new generation of {session.name!r}"
    return writer_lock(session.database, session.place, "build", what)


def begin_generation(session: Session, plan: Plan, models: Models) -> GenerationInfo:
    """The generation that `plan` is about, with its ranges: a new one, or the one a killed run had begun."""
    target = plan.target
    if target.id == 0:
        with writing(session.database) as connection:
            session.row(connection)
            id_ = create_generation(
                connection,
                session.id,
                model=target.model,
                fingerprint=target.fingerprint,
                dimension=target.dimension,
                precision=target.precision,
                chunking=target.chunking,
                beside=target.beside,
                state=BUILDING,
            )
        faults.point("build.created")
        target = read_existing(session, id_)
    if target.codec is None:
        target = calibrate(session, target, models)
        faults.point("build.calibrated")
    return target


def calibrate(session: Session, generation: GenerationInfo, models: Models) -> GenerationInfo:
    """The generation with the ranges of its codes, which it gets here if it has none yet."""
    if generation.codec is not None:
        return generation
    codec = _choose_codec(session, generation, models)
    with writing(session.database) as connection:
        set_codec(connection, generation.id, codec.to_json())
    return read_existing(session, generation.id)


def _choose_codec(session: Session, target: GenerationInfo, models: Models) -> Codec:
    live = session.live()
    precision: Any = target.precision
    if choose_work(live, target) == "convert" and live.codec is not None:
        if live.codec.ranges is not None:
            return Codec(precision, target.dimension, live.codec.ranges)
        codec = calibrate_on_codes(session, precision, live.generation.id, live.codec)
        if codec is not None:
            return codec
    return calibrate_on_corpus(
        session, precision, models.to_embed_stored(target), ChunkSettings(**target.chunking)
    )


def following_maker(
    session: Session, live: Live, generation: GenerationInfo, models: Models
) -> FollowingMaker:
    """What makes the codes of `generation`: from those of the live one where these are as fine, else by its
    model. What passages have beside their vectors is taken over from there too where it is of the same model.
    """
    assert generation.codec is not None
    codec = Codec.from_json(generation.codec)
    roles = [*(generation.beside or {})]
    if live.codec is not None and generation.id != live.generation.id:
        source = replace(live.generation, codec=live.codec.to_json())
        if is_convertible(source, generation):
            copied = [role for role in roles if _same_model(live.generation, generation, role)]
            coders = models.coders(generation, [role for role in roles if role not in copied])
            return ConvertingMaker(session, source.id, live.codec, codec, copied, coders)
    encoder = models.to_embed_stored(generation)
    return EmbeddingMaker(
        encoder, ChunkSettings(**generation.chunking), codec, models.coders(generation, roles)
    )


def _same_model(source: GenerationInfo, target: GenerationInfo, role: str) -> bool:
    """Whether both make the codes of a role by the same model, in the same way."""
    before, after = (one.get(role) for one in (source.beside or {}, target.beside or {}))
    names = ("fingerprint", "dimension", "settings")
    return before is not None and after is not None and all(before[n] == after[n] for n in names)
