"""One piece on its way in: ask what is new of it, embed that, store it."""

from __future__ import annotations

from typing import Protocol

from indexing.bulk.pieces import EmbeddedPiece, Piece
from indexing.bulk.report import AGAIN, STALE, THERE, PieceReport, ToEmbed
from indexing.embed import Titled
from indexing.generations.makers import Maker

__all__ = ["PieceStore", "bring_piece", "embed_piece"]


class PieceStore(Protocol):
    """What stores pieces: a `Writer`, or what passes them on to one in another process."""

    def changed(self, piece: Piece) -> ToEmbed: ...

    def store(self, piece: Piece, embedded: EmbeddedPiece) -> PieceReport: ...


def bring_piece(store: PieceStore, piece: Piece, generation: int, maker: Maker) -> PieceReport:
    """Embeds what is new or changed of a piece, and stores it. `maker` makes codes for `generation`; if
    another one is live, the outcome is `stale`, and nothing was stored.
    """
    while True:
        wanted = store.changed(piece)
        if wanted.stored:
            return PieceReport(THERE)
        if wanted.places and wanted.generation != generation:
            return PieceReport(STALE)
        report = store.store(piece, embed_piece(piece, wanted, maker))
        if report.outcome != AGAIN:
            return report


def embed_piece(piece: Piece, wanted: ToEmbed, maker: Maker) -> EmbeddedPiece:
    """Passages and codes of what is to be embedded of a piece."""
    if not wanted.places:
        return EmbeddedPiece(wanted.generation)
    documents = [piece.documents[place] for place in wanted.places]
    made = maker.make([Titled(one.title, one.text) for one in documents])
    return EmbeddedPiece(wanted.generation, wanted.places, made)
