"""Texts ▸ passages ▸ vectors ▸ codes, as plain functions: they know no database and no collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from indexing.beside.coders import Coders
from indexing.code_words import code_passage, is_code_title
from indexing.documents import ChunkSettings, chunk_documents
from indexing.documents.model import bounded_title
from indexing.models.encoders import normalise
from indexing.openings import LEAST_ALIKE, opening_of
from indexing.quantization import Codec
from stlib.runtime import EncoderProtocol

__all__ = [
    "Embedded",
    "Titled",
    "chunk_text",
    "code_beside",
    "cut",
    "embed",
    "encode_passages",
    "openings",
    "passages",
]

Span = tuple[int, int]

ENCODE_CHUNKS = 4096


@dataclass(frozen=True)
class Titled:
    """What is embedded of a document."""

    title: str
    text: str


@dataclass(frozen=True)
class Embedded:
    """`spans[i]`, `codes[i]` and `beside[role][i]` of the i-th document, passage by passage; `clipped` values
    lay outside the ranges and were cut.
    """

    spans: list[list[Span]]
    codes: list[list[bytes]]
    clipped: int
    beside: Mapping[str, list[list[bytes]]] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        return sum(map(len, self.spans))

    def beside_of(self, number: int) -> dict[str, list[bytes]]:
        """The codes of one document beside those of its vectors, by role."""
        return {role: codes[number] for role, codes in self.beside.items()}


def embed(
    documents: Sequence[Titled],
    encoder: EncoderProtocol,
    settings: ChunkSettings,
    codec: Codec,
    coders: Coders | None = None,
) -> Embedded:
    """Cuts documents into passages and encodes each, by `coders` too."""
    spans = cut(documents, encoder, settings)
    opened = openings(documents, spans) if settings.opening else None
    codes, clipped = encode_passages(passages(documents, spans), encoder, codec, opened)
    return Embedded(spans, _by_document(codes, spans), clipped, code_beside(documents, spans, coders or {}))


def code_beside(
    documents: Sequence[Titled], spans: Sequence[Sequence[Span]], coders: Coders
) -> dict[str, list[list[bytes]]]:
    """What `coders` make of each passage, by role and document."""
    made = {}
    for role, coder in coders.items():
        codes: list[bytes] = []
        coming = passages(documents, spans)
        while portion := list(islice(coming, ENCODE_CHUNKS)):
            codes += coder.encode(portion)
        made[role] = _by_document(codes, spans)
    return made


def _by_document(codes: Iterable[bytes], spans: Sequence[Sequence[Span]]) -> list[list[bytes]]:
    rows = iter(codes)
    return [[next(rows) for _ in part] for part in spans]


def cut(documents: Sequence[Titled], encoder: EncoderProtocol, settings: ChunkSettings) -> list[list[Span]]:
    """Where each document's passages begin and end, in characters of its text."""
    return [
        list(spans)
        for spans in chunk_documents(
            [document.text for document in documents],
            encoder.token_spans,
            settings,
            getattr(encoder, "token_counts", None),
        )
    ]


def passages(documents: Sequence[Titled], spans: Sequence[Sequence[Span]]) -> Iterator[str]:
    """What is embedded for each passage, document by document. One after the other, as all of them are more
    than the documents: passages overlap, and each has the title.
    """
    for document, part in zip(documents, spans, strict=True):
        for start, end in part:
            yield chunk_text(document.title, document.text[start:end])


def openings(documents: Sequence[Titled], spans: Sequence[Sequence[Span]]) -> Iterator[str | None]:
    """For each of `passages` what its vector leans on: the opening of the document for the first one, where
    it has more than that, and nothing for others.
    """
    for document, part in zip(documents, spans, strict=True):
        for place, span in enumerate(part):
            found = None if place else opening_of(document.title, document.text, span)
            yield None if found is None else chunk_text(document.title, document.text[found[0] : found[1]])


def chunk_text(title: str, text: str) -> str:
    """What is embedded for a chunk: its words under the document's title, which often names the subject.

    It is there once for each passage, so of a title that is longer than one can be only the beginning is.
    """
    title = bounded_title(title)
    if is_code_title(title):
        return code_passage(title, text)
    begins_with_title = text.startswith(title) and not text[len(title) : len(title) + 1].isalnum()
    return text if not title or begins_with_title else f"{title}\n{text}"


def encode_passages(
    texts: Iterable[str],
    encoder: EncoderProtocol,
    codec: Codec,
    openings: Iterable[str | None] | None = None,
) -> tuple[list[bytes], int]:
    """A code for each text, and how many values were cut. `openings`, one for each text, lend half of the
    vector's direction.
    """
    rows: list[bytes] = []
    clipped = 0
    coming, opened = iter(texts), iter(openings or ())
    while portion := list(islice(coming, ENCODE_CHUNKS)):
        vectors = normalise(np.asarray(encoder.encode_document(portion)))
        if openings is not None:
            vectors = _lean(vectors, list(islice(opened, len(portion))), encoder)
        codes, cut_values = codec.encode(vectors)
        clipped += cut_values
        rows += (row.tobytes() for row in codes)
    return rows, clipped


def _lean(vectors: np.ndarray, openings: Sequence[str | None], encoder: EncoderProtocol) -> np.ndarray:
    """`vectors` [n, d] of length 1, those that have an opening half-way between it and what they were, unless
    the two are unlike: a greeting or a licence says nothing of what follows.
    """
    rows = [row for row, opening in enumerate(openings) if opening is not None]
    if rows:
        towards = normalise(np.asarray(encoder.encode_document([openings[row] or "" for row in rows])))
        alike = np.sum(vectors[rows] * towards, axis=1, keepdims=True) > LEAST_ALIKE
        vectors[rows] = normalise(vectors[rows] + alike * towards)
    return vectors
