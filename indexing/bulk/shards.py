"""The pieces of a shard: what the readers of files give, counted off.

Foreign files are parsed in a child process with bounds, as everywhere. What lies elsewhere is copied to a
folder of this machine first, all of it or the bytes that are needed: the child knows no network.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path

from indexing.bulk.checking import refuse_changed
from indexing.bulk.counting import count_off
from indexing.bulk.fetching import copies_of
from indexing.bulk.keeping import folder_for_copies
from indexing.bulk.pieces import Done, FileDone, Piece, ShardPlan
from indexing.bulk.specs import Entry, Reading, read_spec
from indexing.documents import Document
from indexing.documents.file_fields import add_file_fields
from indexing.documents.frames import Frame
from indexing.documents.isolate import FileEnd, IsolatedReader
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile
from indexing.errors import BadInput
from indexing.sources.compare import state_of
from indexing.sources.outcome import Outcome
from indexing.storage.files import disk_full, no_space

__all__ = ["ShardReader"]

NOTHING_DONE = Done()

Given = Document | Skipped | FileDone | str


class ShardReader:
    """Reads shards, one after the other, and keeps the process that parses between them. Close it, or use it
    in a `with`.
    """

    def __init__(self) -> None:
        self._notes: list[str] = []
        self.parser = IsolatedReader(on_frame=self._note)
        """The process that parses, for who asks it of other files between two shards."""

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.parser.close()

    def read(self, shard: ShardPlan, done: Done = NOTHING_DONE) -> Iterator[Piece]:
        """The pieces of `shard` in order, but for those that are `done`: the same ones each time.

        Raises:
            BadInput: a file was changed since it was planned, or cannot be had from its store, or the part
                that the shard is cannot be read to its end.
            DiskFull: there is no room here for copies.
        """
        reading = read_spec(shard.spec)
        self._notes.clear()
        finished = False
        try:
            with (
                _folder_for(reading) as folder,
                closing(self._items(reading, _Here(reading, folder))) as items,
            ):
                yield from count_off(shard.number, items, reading.piece_documents, done)
            finished = True
        except OSError as error:
            if no_space(error):
                raise disk_full(Path(tempfile.gettempdir())) from error
            raise
        finally:
            if not finished:  # the process still parses what nobody waits for
                self.parser.close()

    def _items(self, reading: Reading, here: _Here) -> Generator[Given, None, None]:
        with closing(here.files()) as files:
            stream = self.parser.read_files(files)
            for entry in reading.entries:
                if isinstance(entry, Skipped):
                    yield entry
                    continue
                if entry.file_id is not None and reading.part is None:
                    yield from _read_in_step(entry, entry.file_id, reading.planned_at, stream)
                else:
                    yield from _read_alone(entry, reading, here, stream)
                here.finish()
                notes, self._notes = self._notes, []
                yield from dict.fromkeys(notes)

    def _note(self, file: SourceFile, frame: Frame) -> None:
        self._notes += [f"{file.source} {note}" for note in frame.notes]


def _read_in_step(
    entry: Entry, file_id: int, planned_at: int, stream: Iterator[Item | FileEnd]
) -> Iterator[Given]:
    """A whole file of a folder that is kept in step with, as a sync reads it."""
    outcome = Outcome(entry.file, file_id)
    yield from outcome.watch(stream)
    refuse_changed(entry)
    if entry.fresh:
        state = replace(state_of(entry.file, planned_at), problem=outcome.problem)
        yield FileDone(file_id, entry.file.name, state)


def _read_alone(
    entry: Entry, reading: Reading, here: _Here, stream: Iterator[Item | FileEnd]
) -> Iterator[Given]:
    """A part of a file, or a whole one of which the catalog has no row."""
    for item in stream:
        if isinstance(item, FileEnd):
            break
        if isinstance(item, Document):
            item = add_file_fields(item, here.current)
            yield item if entry.file_id is None else replace(item, file_id=entry.file_id)
        elif reading.part is not None and item.line is None:
            refuse_changed(entry, reading.address)
            raise BadInput(str(item))
        else:
            yield item
    if reading.address is None:
        refuse_changed(entry)


def _folder_for(reading: Reading) -> AbstractContextManager[Path]:
    """Where copies lie of what is elsewhere."""
    return nullcontext(Path()) if reading.address is None else folder_for_copies()


class _Here:
    """The files of a shard as files of this machine, each when its turn to be parsed comes."""

    def __init__(self, reading: Reading, folder: Path) -> None:
        self._reading = reading
        self._folder = folder
        self._opened: deque[SourceFile] = deque()

    @property
    def current(self) -> SourceFile:
        """The file whose items come now."""
        return self._opened[0]

    def files(self) -> Generator[SourceFile, None, None]:
        """In their order. Raises `BadInput` for one that was changed, or cannot be had."""
        reading = self._reading
        with closing(self._files() if reading.address is None else copies_of(reading, self._folder)) as files:
            for file in files:
                self._opened.append(file)
                yield file

    def finish(self) -> None:
        """The current file was read to its end."""
        file = self._opened.popleft()
        if self._reading.address is not None:
            Path(file.path).unlink()
            Path(file.path).parent.rmdir()

    def _files(self) -> Generator[SourceFile, None, None]:
        part = self._reading.part
        for entry in self._reading.entries:
            if isinstance(entry, Entry):
                refuse_changed(entry)
                yield entry.file if part is None else replace(entry.file, part=part, size=self._reading.size)
