"""Adding documents whose passages and vectors come with them: embedded are only those that need it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from indexing.beside.coders import Coders
from indexing.catalog.database import writing
from indexing.catalog.generations import GenerationInfo, set_codec
from indexing.documents import Document, Skipped
from indexing.embed import Embedded, Titled, code_beside
from indexing.errors import BadInput
from indexing.generations.makers import Maker
from indexing.names import NO_MODEL
from indexing.quantization import Codec
from indexing.session import Live
from indexing.writing.add import Adding
from indexing.writing.parquet import Brought, FileSettings
from indexing.writing.report import AddReport, Progress

__all__ = ["Importing", "why_not_usable"]

Stored = dict[tuple[str, str], tuple[list[tuple[int, int]], np.ndarray]]
"""(title, text) → spans and vectors [n, d] of the passages."""


def why_not_usable(generation: GenerationInfo, settings: FileSettings) -> str | None:
    """Why the vectors of a file cannot stand in for those of a generation, in words; None if they can."""
    if settings.fingerprint != generation.fingerprint or settings.dimension != generation.dimension:
        return f"they are of another model, {settings.model or 'vectors that somebody brought'!r}"
    if settings.codec is None:
        return "they were made before any was stored"
    if generation.fingerprint == NO_MODEL:
        return None  # there is no other way to them
    if settings.chunking != generation.chunking:
        return "their passages are cut in another way"
    if settings.precision == "float32" or generation.codec is None:
        return None
    mine, theirs = Codec.from_json(generation.codec).ranges, Codec.from_json(settings.codec).ranges
    same = mine is not None and theirs is not None and np.array_equal(mine, theirs)
    return None if same else "they were stored in a coarser way"


@dataclass(frozen=True)
class _StoredMaker:
    """Takes over what came with the documents, and lets another maker do the rest."""

    stored: Stored
    codec: Codec
    coders: Coders
    rest: Callable[[], Maker]

    def make(self, documents: Sequence[Titled], vectors: np.ndarray | None = None) -> Embedded:
        known = [self.stored.get((one.title, one.text)) for one in documents]
        if vectors is not None or any(one is None for one in known):
            return self.rest().make(documents, vectors)
        found = [one for one in known if one is not None]
        spans = [spans for spans, _ in found]
        if not found:
            return Embedded([], [], 0)
        codes, clipped = self.codec.encode(np.concatenate([vectors for _, vectors in found]))
        rows = iter(codes)
        by_document = [[next(rows).tobytes() for _ in part] for part in spans]
        return Embedded(spans, by_document, clipped, code_beside(documents, spans, self.coders))


class Importing(Adding):
    """Adds documents of a file to one collection."""

    _stored: Stored | None = None
    _settings: FileSettings | None = None

    def run_brought(
        self,
        brought: Iterable[Brought | Skipped],
        settings: FileSettings | None,
        on_error: str,
        progress: Progress | None,
    ) -> AddReport:
        """Adds documents; their vectors are taken over where they are those that the collection's model would
        give, by its fingerprint.

        Raises:
            BadInput: a document cannot be used; those before it are stored.
        """
        with self._session.writing_documents():
            generation = self._session.live().generation
            why = why_not_usable(generation, settings) if settings else None
            self._settings = settings if why is None else None
            documents = self._documents(brought, on_error)
            report = self.run_held(documents, on_error, self._forgetting(progress))
            if why is not None and report.added + report.updated:
                report.note(f"the vectors of the file were not used, and texts embedded: {why}")
            return report

    def _documents(self, brought: Iterable[Brought | Skipped], on_error: str) -> Iterator[Document | Skipped]:
        self._stored = {}
        for one in brought:
            if isinstance(one, Skipped):
                if on_error == "raise":
                    raise BadInput(str(one))
                yield one
                continue
            if self._settings is not None and one.spans is not None and one.vectors is not None:
                self._stored[one.document.title, one.document.text] = one.spans, one.vectors
            yield one.document

    def _forgetting(self, progress: Progress | None) -> Progress:
        """After each batch what came with it is of no use any more."""

        def forget(report: AddReport) -> None:
            self._stored = {}
            if progress is not None:
                progress(report)

        return forget

    def maker_of(self, live: Live) -> Maker:
        usual = super().maker_of
        if self._settings is None or self._stored is None:
            return usual(live)
        if why := why_not_usable(live.generation, self._settings):
            raise BadInput(f"another generation became live, and vectors of the file do not fit it: {why}")
        coders = self._encoders.coders(live.generation, [*(live.generation.beside or {})])
        return _StoredMaker(self._stored, self._codec(live), coders, lambda: usual(live))

    def _codec(self, live: Live) -> Codec:
        if live.codec is not None or self._settings is None or self._settings.codec is None:
            return super()._codec(live)
        if self._settings.precision != live.generation.precision:
            return super()._codec(live)
        # The first vectors are those of the file: stored by its ranges they become the same codes again.
        with writing(self._session.database) as connection:
            return Codec.from_json(set_codec(connection, live.generation.id, self._settings.codec))
