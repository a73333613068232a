"""The methods of `Collection` about the folders that it is kept in step with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from indexing.catalog.database import reading, writing
from indexing.catalog.moving import renames_after
from indexing.catalog.sources import (
    SourceInfo,
    count_documents,
    drop_source,
    file_of_document,
    files_of,
    sources_of,
)
from indexing.documents import ReadReport
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput, UnconfirmedSource
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.sources.confirm import confirm_roots, confirmed_roots
from indexing.sources.report import Source, SyncReport
from indexing.sources.run import run_sync
from indexing.sources.targets import known_targets, named_targets
from indexing.views.manager import Views
from indexing.writing.report import Progress

__all__ = ["SourceMethods"]

Paths = Iterable[str | os.PathLike[str]] | str | os.PathLike[str]


class SourceMethods:
    """A part of `Collection`, which gives it the attributes below."""

    name: str
    _session: Session
    _views: Views
    _encoders: Encoders

    def sync(
        self,
        paths: Paths | None = None,
        *,
        options: ReadOptions | None = None,
        prune: bool = False,
        force: bool = False,
        all_files: bool = False,
        confirm: bool = False,
        within: Iterable[str | os.PathLike[str]] | None = None,
        read: ReadReport | None = None,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Brings the collection in step with folders and files: with `paths`, which are remembered as its
        sources, or with the sources that it has.

        Files that have not changed are not opened. Those that changed are read, and of their documents only
        those with another text are embedded. A renamed file keeps its documents, under new ids. `options` say
        what is left out and which columns are what; None keeps those of the source. With `prune` documents
        are removed that are no longer in their files; an empty or missing root, and more than 30 % of a
        source, need `force` too. With `all_files` every file is read again. `read` and `progress` tell how
        far it is.

        Raises:
            BadInput: a path that is not there; nothing was changed.
            UnconfirmedSource: a source that nobody named on this machine, without `confirm`: the catalog was
                copied here. Nothing was read.
            LockedError, DiskFull: as `add` does.
        """
        read = read if read is not None else ReadReport()
        limits = None if within is None else list(within)
        with self._session.writing_documents():
            if paths is None:
                self._check_confirmed(confirm)
                targets = known_targets(self._session, limits)
            else:
                roots: Sequence[Path] = _as_paths(paths)
                targets = named_targets(self._session, roots, options, limits)
                confirm_roots(self._session.uuid, [_root(target.source) for target in targets])
            return run_sync(
                self._session,
                self._views,
                self._encoders,
                targets,
                read,
                prune=prune,
                force=force,
                all_files=all_files,
                progress=progress,
            )

    def _check_confirmed(self, confirm: bool) -> None:
        strange = [source for source in self.sources() if not source.confirmed]
        roots = [source.root for source in strange]
        if strange and not confirm:
            raise UnconfirmedSource(
                f"collection {self.name!r} was read from {', '.join(roots)}, which nobody named on this "
                "machine: the collection was copied here. Name the folders with `stlib index`, or confirm",
                roots,
            )
        confirm_roots(self._session.uuid, map(_root, strange))

    @property
    def folder(self) -> Path:
        """Where its files lie; nothing there is anybody else's business."""
        return self._session.place.folder

    def confirm_sources(self) -> None:
        """A person of this machine says that its sources may be read."""
        confirm_roots(self._session.uuid, map(_root, self.sources()))

    def sources(self) -> list[Source]:
        """The folders that this collection was read from, in the order in which they were named."""
        with self._session.looking() as (connection, _):
            found = sources_of(connection, self._session.id)
            counts = [
                (len(files_of(connection, info.id)), count_documents(connection, info.id)) for info in found
            ]
        known = confirmed_roots(self._session.uuid, map(_root, found))
        return [
            _source(info, _root(info) in known, *numbers) for info, numbers in zip(found, counts, strict=True)
        ]

    def source_of(self, document_id: str) -> tuple[Source, str] | None:
        """The source that a document was read from, and the path of its file below the root (posix style);
        None for a document that was not read from a file.
        """
        with reading(self._session.database) as connection:
            found = file_of_document(connection, self._session.id, document_id)
            if found is None:
                return None
            info, name = found
            numbers = len(files_of(connection, info.id)), count_documents(connection, info.id)
        return _source(info, bool(confirmed_roots(self._session.uuid, [_root(info)])), *numbers), name

    def renames_after(self, number: int) -> list[tuple[int, str, str, str]]:
        """(number, old id, new id, time) of documents that got another id after the renaming `number`, in
        order; 0 gives all. Those of one number were renamed at once. For those who keep ids elsewhere.
        """
        with self._session.looking() as (connection, _):
            return renames_after(connection, self._session.id, number)

    def forget_source(self, source_id: int) -> None:
        """Keeps the documents of a source, and is in step with it no more.

        Raises:
            BadInput: there is no such source.
        """
        with self._session.writing_documents(), writing(self._session.database) as connection:
            known = [info.id for info in sources_of(connection, self._session.id)]
            if source_id not in known:
                numbers = ", ".join(map(str, known)) or "none"
                raise BadInput(f"collection {self.name!r} has no source {source_id!r}; there are: {numbers}")
            drop_source(connection, source_id)


def _source(info: SourceInfo, confirmed: bool, files: int, documents: int) -> Source:
    return Source(
        info.id, info.root, info.kind, dict(info.options), confirmed, files, documents, info.synced_at
    )


def _root(source: Source | SourceInfo) -> tuple[str, str]:
    return source.kind, source.root


def _as_paths(paths: Paths) -> list[Path]:
    return [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
