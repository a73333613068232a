"""How a source is cut into shards: groups of small files, and parts of large ones.

The plan follows from the files alone, so that it is the same however often it is made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from indexing.bulk.addresses import Address, fetch_range, look_at, open_store
from indexing.bulk.cutting import Cut, cut_lines, cut_rows
from indexing.bulk.fetching import reading_ahead
from indexing.bulk.keeping import folder_for_copies
from indexing.bulk.pieces import ShardPlan
from indexing.bulk.specs import Entry, Group, make_spec
from indexing.documents.isolate import IsolatedReader
from indexing.documents.model import Document, Skipped
from indexing.documents.source import SourceFile
from indexing.documents.unpack import packing_of
from indexing.errors import BadInput

__all__ = ["SHARD_BYTES", "SHARD_DOCUMENTS", "plan_shards"]

SHARD_BYTES = 4 << 20
"""Enough to keep a process at work for seconds, and little enough to be read again when one is lost."""
SHARD_DOCUMENTS = 2000
_CUTTABLE = {"jsonl": "lines", "parquet": "rows"}
_WORTH_CUTTING = {"jsonl": 16, "parquet": 256}
"""A file may be so many times smaller than a shard and be of more documents than one has."""
_TAIL = 64 << 10
_MOST_OF_FOOTER = 64 << 20


def plan_shards(
    groups: Iterable[Group],
    *,
    piece_documents: int,
    shard_bytes: int = SHARD_BYTES,
    shard_documents: int = SHARD_DOCUMENTS,
    parser: IsolatedReader | None = None,
) -> Iterator[ShardPlan]:
    """The shards of `groups` of files, numbered from 0, each of some files of one group or a part of one
    file: about `shard_bytes`, or as many documents, and more where a file cannot be cut. `parser` is asked
    whether it can, or a process that is started for that.
    """
    with (
        nullcontext(parser) if parser is not None else IsolatedReader() as asked,
        folder_for_copies() as folder,
    ):
        planner = _Planner(piece_documents, shard_bytes, shard_documents, asked, folder)
        for group in groups:
            yield from planner.plan(group)


class _Planner:
    def __init__(
        self,
        piece_documents: int,
        shard_bytes: int,
        shard_documents: int,
        parser: IsolatedReader,
        folder: Path,
    ) -> None:
        self._piece_documents = piece_documents
        self._bytes = shard_bytes
        self._documents = shard_documents
        self._planned_at = time.time_ns()
        self._number = 0
        self._parser = parser
        self._folder = folder

    def plan(self, group: Group) -> Iterator[ShardPlan]:
        waiting: list[Entry | Skipped] = []
        size = 0
        for entry in group.entries:
            cuts = self._cut(group, entry) if isinstance(entry, Entry) else []
            entry_size = entry.file.size if isinstance(entry, Entry) else 0
            full = len(waiting) >= self._documents or size + entry_size > self._bytes
            if waiting and (cuts or full):
                yield self._shard("files", group, waiting)
                waiting, size = [], 0
            if cuts and isinstance(entry, Entry):
                kind = _CUTTABLE[entry.file.format]
                for cut in cuts:
                    yield self._shard(kind, group, [entry], cut)
            else:
                waiting.append(entry)
                size += max(0, entry_size)
        if waiting:
            yield self._shard("files", group, waiting)

    def _shard(
        self, kind: str, group: Group, entries: list[Entry | Skipped], cut: Cut | None = None
    ) -> ShardPlan:
        part = None if cut is None else cut.part
        ranges = () if cut is None else cut.ranges
        spec = make_spec(group, entries, self._piece_documents, self._planned_at, part, ranges)
        self._number += 1
        return ShardPlan(self._number - 1, kind, spec)

    # --- large files ---------------------------------------------------------------------------------------

    def _cut(self, group: Group, entry: Entry) -> list[Cut]:
        """The parts of a file; none if it is read whole."""
        file = entry.file
        if (
            file.format not in _CUTTABLE
            or file.size * _WORTH_CUTTING[file.format] <= self._bytes
            or packing_of(file.name) is not None
        ):
            return []
        try:
            with _opened(group.address, file) as read:
                if file.format == "parquet":
                    cuts = self._cut_rows(file, read)
                elif group.address is None:
                    cuts = self._cut_lines(file, read)
                else:
                    with reading_ahead(read, file.size, self._bytes) as read_ahead:
                        cuts = self._cut_lines(file, read_ahead)
        except (BadInput, OSError):  # its reader says what is wrong with it
            return []
        return cuts if len(cuts) > 1 else []

    def _cut_lines(self, file: SourceFile, read: Callable[[int, int], bytes]) -> list[Cut]:
        def accept(head: bytes) -> bool:
            path = self._folder / "head"
            path.write_bytes(head)
            told = self._ask(replace(file, path=str(path), size=len(head)))
            return bool(told.get("lines"))

        return cut_lines(read, file.size, self._bytes, self._documents, accept) or []

    def _cut_rows(self, file: SourceFile, read: Callable[[int, int], bytes]) -> list[Cut]:
        footer = _footer(read, file.size)
        if footer is None:
            return []
        path = self._folder / "footer"
        with path.open("wb") as stream:  # a file with a hole where its rows are
            stream.seek(footer)
            stream.write(read(footer, file.size))
        told = self._ask(replace(file, path=str(path)))
        cuts = cut_rows(told.get("groups", []), self._bytes, self._documents)
        return [replace(cut, ranges=(*cut.ranges, (footer, file.size))) for cut in cuts]

    def _ask(self, file: SourceFile) -> dict[str, list[tuple[int, int, int]]]:
        """What the process that parses says of a file that might be cut; nothing if it is read whole."""
        items = list(self._parser.read([replace(file, format="parts")]))
        if len(items) == 1 and isinstance(items[0], Document):
            told: dict[str, list[tuple[int, int, int]]] = json.loads(items[0].text)
            return told
        return {}


def _footer(read: Callable[[int, int], bytes], size: int) -> int | None:
    """Where the footer of a Parquet file begins; None if it has none of a usual size."""
    tail = read(max(0, size - 8), size)
    length = int.from_bytes(tail[:4], "little") + 8
    return size - length if tail[4:] == b"PAR1" and length < min(size, _MOST_OF_FOOTER) else None


@contextmanager
def _opened(address: Address | None, file: SourceFile) -> Iterator[Callable[[int, int], bytes]]:
    """What reads bytes of a file from one place to another."""
    if address is not None:
        store = open_store(address)
        where = address.below(file.name)
        if (
            look_at(store, where).get("partial") is False
        ):  # some web servers give all where a part is asked for
            raise BadInput(f"{where} is given as a whole only")
        yield lambda begin, end: fetch_range(store, where, begin, end)
        return
    with Path(file.path).open("rb", buffering=0) as stream:

        def read(begin: int, end: int) -> bytes:
            stream.seek(begin)
            data = stream.read(end - begin)
            if not data:
                raise OSError("the file ends before its size")
            return data

        yield read
