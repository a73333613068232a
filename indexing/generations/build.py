"""Making a generation beside the live one: found or created, calibrated, and brought up to the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from indexing import faults
from indexing.catalog.database import writing
from indexing.catalog.generations import (
    BUILDING,
    GenerationInfo,
    create_generation,
    set_codec,
)
from indexing.documents import ChunkSettings
from indexing.generations.calibrate import calibrate_on_codes, calibrate_on_corpus
from indexing.generations.existing import read_existing
from indexing.generations.makers import ConvertingMaker, EmbeddingMaker, FollowingMaker, is_convertible
from indexing.generations.plan import Plan, choose_work
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.files import FolderLock
from stlib.runtime import EncoderProtocol

__all__ = [
    "EncoderOf",
    "begin_generation",
    "build_lock",
    "calibrate",
    "choosing_lock",
    "following_maker",
]

EncoderOf = Callable[[GenerationInfo], EncoderProtocol]
"""Loads the model of a generation, once it turns out that it is needed."""


def build_lock(session: Session, generation_id: int) -> FolderLock:
    """Held by whoever builds this generation."""
    what = f"generation {generation_id} of collection {session.name!r}"
    return FolderLock(session.place.locks, f"build-{generation_id}.lock", what)


def choosing_lock(session: Session) -> FolderLock:
    """Held for the moment in which one finds or creates the generation to build."""
    return FolderLock(session.place.locks, "build.lock", f"a new generation of {session.name!r}")


def begin_generation(session: Session, plan: Plan, encoder_of: EncoderOf) -> GenerationInfo:
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
                state=BUILDING,
            )
        faults.point("build.created")
        target = read_existing(session, id_)
    if target.codec is None:
        target = calibrate(session, target, encoder_of)
        faults.point("build.calibrated")
    return target


def calibrate(session: Session, generation: GenerationInfo, encoder_of: EncoderOf) -> GenerationInfo:
    """The generation with the ranges of its codes, which it gets here if it has none yet."""
    if generation.codec is not None:
        return generation
    codec = _choose_codec(session, generation, encoder_of)
    with writing(session.database) as connection:
        set_codec(connection, generation.id, codec.to_json())
    return read_existing(session, generation.id)


def _choose_codec(session: Session, target: GenerationInfo, encoder_of: EncoderOf) -> Codec:
    live = session.live()
    precision: Any = target.precision
    if choose_work(live, target) == "convert" and live.codec is not None:
        if live.codec.ranges is not None:
            return Codec(precision, target.dimension, live.codec.ranges)
        codec = calibrate_on_codes(session, precision, live.generation.id, live.codec)
        if codec is not None:
            return codec
    return calibrate_on_corpus(session, precision, encoder_of(target), ChunkSettings(**target.chunking))


def following_maker(
    session: Session, live: Live, generation: GenerationInfo, encoder_of: EncoderOf
) -> FollowingMaker:
    """What makes the codes of `generation`: from those of the live one where these are as fine, else by its
    model.
    """
    assert generation.codec is not None
    codec = Codec.from_json(generation.codec)
    if live.codec is not None and generation.id != live.generation.id:
        source = replace(live.generation, codec=live.codec.to_json())
        if is_convertible(source, generation):
            return ConvertingMaker(session, source.id, live.codec, codec)
    return EmbeddingMaker(encoder_of(generation), ChunkSettings(**generation.chunking), codec)
