"""What turns documents into passages and codes for one generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from indexing.beside.coders import Coders
from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo, read_generation
from indexing.catalog.reads import LoggedDocument, beside_of_documents, chunks_of_documents, decode_rows
from indexing.documents import ChunkSettings
from indexing.embed import Embedded, Titled, code_beside, embed
from indexing.errors import BadInput, LockedError, StorageError
from indexing.models.encoders import normalise
from indexing.quantization import Codec
from indexing.session import Session
from stlib.runtime import EncoderProtocol

__all__ = ["ConvertingMaker", "EmbeddingMaker", "FollowingMaker", "GivenMaker", "Maker", "is_convertible"]


class Maker(Protocol):
    """Makes codes of new documents, for the generation that is live."""

    def make(self, documents: Sequence[Titled], vectors: np.ndarray | None = None) -> Embedded:
        """Passages and codes of `documents`; `vectors` [n, d] are theirs where somebody brings them.

        Raises:
            BadInput: vectors are missing, or are not wanted, or do not fit.
        """


class FollowingMaker(Protocol):
    """Makes codes of documents that the catalog has, for a generation that follows."""

    def make_logged(self, documents: Sequence[LoggedDocument]) -> Embedded:
        """Passages and codes of `documents`. One that changed since it was read may get none."""


@dataclass(frozen=True)
class EmbeddingMaker:
    """Cuts and embeds by a model; `coders` make what passages have beside their vectors."""

    encoder: EncoderProtocol
    settings: ChunkSettings
    codec: Codec
    coders: Coders = field(default_factory=dict)

    def make(self, documents: Sequence[Titled], vectors: np.ndarray | None = None) -> Embedded:
        if vectors is not None:
            raise BadInput(
                f"this collection embeds by its own model ({self.encoder.name}), so it takes no vectors: "
                "leave vectors= away, or bring yours to a collection made with dimension="
            )
        return embed(documents, self.encoder, self.settings, self.codec, self.coders)

    def make_logged(self, documents: Sequence[LoggedDocument]) -> Embedded:
        return self.make([Titled(document.title, document.text) for document in documents])


@dataclass(frozen=True)
class GivenMaker:
    """Stores vectors that somebody brings: one per document, which is one passage."""

    codec: Codec
    coders: Coders = field(default_factory=dict)

    def make(self, documents: Sequence[Titled], vectors: np.ndarray | None = None) -> Embedded:
        if vectors is None and documents:
            raise BadInput(
                "this collection was made without a model: give a vector for each document, vectors=array"
            )
        if vectors is None:
            return Embedded([], [], 0)
        codes, clipped = self.codec.encode(normalise(vectors))
        spans = [[(0, len(document.text))] for document in documents]
        beside = code_beside(documents, spans, self.coders)
        return Embedded(spans, [[row.tobytes()] for row in codes], clipped, beside)


@dataclass(frozen=True)
class ConvertingMaker:
    """Makes codes of those that another generation has, which are at least as fine. Embeds nothing.

    What passages have beside their vectors is taken over for the roles in `copied`, and made by `coders`.
    """

    session: Session
    source: int
    source_codec: Codec
    codec: Codec
    copied: Sequence[str] = ()
    coders: Coders = field(default_factory=dict)

    def make_logged(self, documents: Sequence[LoggedDocument]) -> Embedded:
        with reading(self.session.database) as connection:
            keys = [document.key for document in documents]
            stored = chunks_of_documents(connection, self.source, keys)
            copied = {role: beside_of_documents(connection, self.source, keys, role) for role in self.copied}
            source = read_generation(connection, self.source)
        if source is None or source.followed_seq < max(document.seq for document in documents):
            raise LockedError(
                f"another serving of collection {self.session.name!r} became live meanwhile; run it again"
            )
        rows = [stored.get(document.key, []) for document in documents]
        spans = [[(start, end) for start, end, _ in part] for part in rows]
        data = b"".join(code for part in rows for _, _, code in part)
        old = decode_rows(data, sum(map(len, rows)), self.source_codec)
        new, clipped = self.codec.encode(self.source_codec.decode(old))
        codes = iter(new)
        titled = [Titled(document.title, document.text) for document in documents]
        beside = {
            role: [theirs.get(document.key, []) for document in documents] for role, theirs in copied.items()
        }
        for role, theirs in beside.items():
            if [len(part) for part in theirs] != [len(part) for part in spans]:
                raise StorageError(
                    f"the catalog is damaged: generation {self.source} has passages without their {role}; run"
                    " `stlib verify`, or restore it from a backup"
                )
        return Embedded(
            spans,
            [[next(codes).tobytes() for _ in part] for part in spans],
            clipped,
            {**beside, **code_beside(titled, spans, self.coders)},
        )


def is_convertible(source: GenerationInfo, target: GenerationInfo) -> bool:
    """Whether the codes of `target` can be made of those of `source`, equal to what embedding anew would
    give: the same passages of the same model, from whole numbers or from bytes of the same ranges.
    """
    same = (source.fingerprint, source.chunking) == (target.fingerprint, target.chunking)
    if not same or source.codec is None or target.codec is None:
        return False
    if source.precision == "float32":
        return True
    before, after = Codec.from_json(source.codec).ranges, Codec.from_json(target.codec).ranges
    return before is not None and after is not None and np.array_equal(before, after)
