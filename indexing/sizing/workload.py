"""What is to be kept and searched: how many documents of which length, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace

from indexing.errors import BadInput
from indexing.names import DEFAULT_PRECISION, PRECISIONS
from indexing.sizing.models import ModelFacts
from indexing.sizing.passages import passages_per_document, tokens_of

__all__ = ["Workload"]


@dataclass(frozen=True)
class Workload:
    """
    Attributes:
        documents: how many.
        length: characters of a document on average, of one byte each.
        model: what embeds.
        precision: how vectors are stored.
        max_tokens, overlap: how text is cut, see `indexing.ChunkSettings`.
        characters_per_token: None for what is measured of English.
        metadata, fields: bytes of JSON a document has beside its text, and in how many fields.
        sparse, late: models of what passages have beside their vectors.
        passages_each: passages of a document where that is known; None for the rule of `passages`.

    Raises:
        BadInput: numbers that no collection has.
    """

    documents: int
    length: float
    model: ModelFacts
    precision: str = DEFAULT_PRECISION
    max_tokens: int = 256
    overlap: int = 32
    characters_per_token: float | None = None
    metadata: float = 60
    fields: int = 3
    sparse: ModelFacts | None = None
    late: ModelFacts | None = None
    passages_each: float | None = None

    def __post_init__(self) -> None:
        if self.documents < 1:
            raise BadInput(f"{self.documents} documents: give at least 1")
        if self.length <= 0:
            raise BadInput(f"documents of {self.length:g} characters: give at least 1")
        if self.precision not in PRECISIONS:
            raise BadInput(f"precision {self.precision!r}: use one of {', '.join(PRECISIONS)}")
        if not 1 <= self.dimension <= 65_536:
            raise BadInput(f"dimension {self.dimension}: give a whole number from 1 to 65536")

    @property
    def dimension(self) -> int:
        return self.model.dimension

    @property
    def models(self) -> list[ModelFacts]:
        """All that read every passage."""
        return [one for one in (self.model, self.sparse, self.late) if one is not None]

    @property
    def passages(self) -> float:
        each = self.passages_each
        if each is None:
            each = passages_per_document(self._tokens_each, self.max_tokens, self.overlap)
        return self.documents * each

    @property
    def tokens(self) -> float:
        """Tokens that are embedded: of all texts, and again of what passages share."""
        each = self.passages / self.documents
        return self.documents * (self._tokens_each + (each - 1) * self.overlap)

    @property
    def _tokens_each(self) -> float:
        return tokens_of(self.length, self.characters_per_token)

    def of_documents(self, documents: int) -> Workload:
        """The same with another number of documents."""
        return replace(self, documents=documents)

    def at_speed(self, passages_per_second: float) -> Workload:
        """The same with models by which, together, one core embeds so many of these passages a second."""
        rate = passages_per_second * self.tokens / self.passages
        return replace(
            self,
            model=replace(self.model, tokens_per_second=rate, how="given"),
            sparse=_without_rate(self.sparse),
            late=_without_rate(self.late),
        )


def _without_rate(model: ModelFacts | None) -> ModelFacts | None:
    return None if model is None else replace(model, tokens_per_second=None, how="given")
