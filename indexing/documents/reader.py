"""Documents from files and folders, one after the other; what cannot be read is told, never raised."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from indexing.documents.formats import read_file
from indexing.documents.frames import Frame
from indexing.documents.isolate import FileEnd, IsolatedReader, with_origin
from indexing.documents.model import Item, Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.documents.walk import Plan, plan_files

__all__ = ["FileEnd", "ReadReport", "read_paths", "read_plan"]

logger = logging.getLogger(__name__)


_KEPT_EMPTY = 20


@dataclass
class ReadReport:
    """What there is to read, and how far the reading is. Filled while the documents are consumed.

    `bytes_read` of `bytes_total` is the progress; `unsupported` counts, by extension, files met in folders
    that have no reader; `notes` are things that a person should know but lost nothing by; `empty` are the
    first files without any text.
    """

    files: int = 0
    bytes_total: int = 0
    bytes_read: int = 0
    unsupported: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def note_empty(self, source: str) -> None:
        if len(self.empty) < _KEPT_EMPTY:
            self.empty.append(source)


def read_paths(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    isolate: bool = True,
    report: ReadReport | None = None,
    within: Iterable[str | os.PathLike[str]] | None = None,
    options: ReadOptions | None = None,
) -> Iterator[Item]:
    """Read every document under `paths`: files as named, folders walked, in a stable order.

    Ids are paths relative to the root that was given (`docs/guide.md` under `docs` is `guide.md`); rows
    of CSV, JSONL and Parquet have their own id, else `<relative path>#<line>`. Equal paths under two roots
    come out equal here, each with its `origin`; a collection keeps them apart (`indexing.writing.identity`).

    With `isolate` files are parsed in a child process with limited memory and time, which also runs beside
    the caller's work. `within` are folders: what a link leads to elsewhere is skipped. `options` say what
    is left out, and which columns are what.

    Raises `BadInput` at once if a path is missing. A broken file or line comes out as `Skipped`.
    """
    plan = plan_files(paths, within, options)
    report = report if report is not None else ReadReport()
    report.files = len(plan.files)
    report.bytes_total = sum(file.size for file in plan.files)
    report.unsupported.update(plan.unsupported)
    if not isolate:
        return _here(plan, _Progress(report))
    return (item for item in read_plan(plan.entries, report) if not isinstance(item, FileEnd))


def read_plan(entries: Iterable[SourceFile | Skipped], report: ReadReport) -> Iterator[Item | FileEnd]:
    """The items of `entries` in their order, read in a child process, with the end of each file."""
    progress = _Progress(report)
    with IsolatedReader(on_frame=progress.frame) as reader:
        for skipped, group in groupby(entries, key=lambda entry: isinstance(entry, Skipped)):
            if skipped:
                yield from group  # type: ignore[misc]  # it holds nothing else
            else:
                yield from reader.read_files(group)  # type: ignore[arg-type]
    progress.finish()


def _here(plan: Plan, progress: _Progress) -> Iterator[Item]:
    for entry in plan.entries:
        if isinstance(entry, Skipped):
            yield entry
            continue
        for item in read_file(entry):
            yield with_origin(item, entry)
            progress.read(entry, entry.bytes_read)
        progress.notes(entry, entry.notes)
    progress.finish()


class _Progress:
    """Adds up what the files report about themselves."""

    def __init__(self, report: ReadReport) -> None:
        self._report = report
        self._file = ""
        self._before = 0  # bytes of the files before the one being read

    def frame(self, file: SourceFile, frame: Frame) -> None:
        self.notes(file, frame.notes)
        self.read(file, frame.read)

    def read(self, file: SourceFile, position: int) -> None:
        if file.path != self._file:
            self._before = self._report.bytes_read
            self._file = file.path
        self._report.bytes_read = self._before + min(position, file.size)

    def notes(self, file: SourceFile, notes: Iterable[str]) -> None:
        for note in notes:
            logger.warning("%s %s", file.source, note)
            self._report.notes.append(f"{file.source} {note}")

    def finish(self) -> None:
        self._report.bytes_read = self._report.bytes_total
