"""What a collection does with files that other tools read and write. A part of `Collection`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from indexing.catalog.stored import StoredDocument
from indexing.errors import BadInput
from indexing.models.held import Encoders
from indexing.search.filter_spelling import Given
from indexing.session import Session
from indexing.views.manager import Views
from indexing.writing.importing import Importing
from indexing.writing.parquet import FileSettings, ParquetDocuments, write_parquet
from indexing.writing.report import AddReport, Progress

__all__ = ["ExchangeMethods"]

_BATCH = 200  # documents with their vectors


class ExchangeMethods:
    """A part of `Collection`, which gives it the attributes below."""

    name: str
    _session: Session
    _views: Views
    _encoders: Encoders

    def documents(
        self, filter: Given | None = None, *, batch: int = 500, passages: bool = False
    ) -> Iterator[StoredDocument]:
        raise NotImplementedError

    def export_parquet(
        self, path: str | os.PathLike[str], filter: Given | None = None, *, vectors: bool = False
    ) -> int:
        """Writes the documents that match `filter` to a new Parquet file, with `vectors` also the passages
        that they are searched by; `indexing.writing.parquet` says what the columns are. Returns how many.
        Others add and search meanwhile.

        Raises:
            BadInput: the file exists, or pyarrow is missing. FilterError: with the position in `filter`.
            LockedError: another generation became live while vectors were read.
            DiskFull, StorageError: it could not be written; nothing is left of it.
        """
        settings = self._file_settings() if vectors else None
        documents = self.documents(filter, batch=_BATCH, passages=vectors)
        return write_parquet(Path(path), self.name, documents, settings)

    def _file_settings(self) -> FileSettings:
        generation = self._session.live().generation
        return FileSettings(
            generation.model,
            generation.fingerprint,
            generation.dimension,
            generation.precision,
            generation.codec,
            generation.chunking,
        )

    def import_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        on_error: str = "raise",
        progress: Progress | None = None,
    ) -> AddReport:
        """Adds the documents of a Parquet file that `export_parquet` wrote, or one with columns `id`, `text`
        and, if they are there, `title` and `metadata` (JSON). Vectors that came along are taken over where
        the model that made them is this collection's, by its fingerprint, and passages are cut as here; else
        texts are embedded, and a note in the report says why.

        Raises:
            BadInput: it is none, or a row of it cannot be used; documents before it are stored.
            LockedError: another process is adding documents.
        """
        if on_error not in ("raise", "skip"):
            raise BadInput(f"on_error {on_error!r}: use 'raise' or 'skip'")
        with ParquetDocuments(Path(path)) as file:
            importing = Importing(self._session, self._views, self._encoders)
            return importing.run_brought(file, file.settings, on_error, progress)
