"""Files that lie elsewhere as files of this machine, several at once: most of the time is spent waiting."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from indexing.bulk.addresses import fetch_file, fetch_range, open_store
from indexing.bulk.checking import refuse_changed
from indexing.bulk.specs import Entry, Reading
from indexing.documents.source import SourceFile

__all__ = ["copies_of", "reading_ahead"]

_AT_ONCE = 8
_PIECE = 8 << 20
_LONGEST_NAME = 100  # characters; the end says what kind of file it is
_UNUSABLE = re.compile(r"[\x00-\x1f/\\]")

Given = TypeVar("Given")
Made = TypeVar("Made")


def copies_of(reading: Reading, folder: Path) -> Generator[SourceFile, None, None]:
    """Copies of the files of a shard, or of what is needed of them, in `folder`: in their order, those that
    come next already on their way. Whoever is done with one removes it.

    Raises:
        BadInput: a file was changed, or cannot be had.
    """
    entries = ((at, entry) for at, entry in enumerate(reading.entries) if isinstance(entry, Entry))

    def copy(numbered: tuple[int, Entry]) -> SourceFile:
        number, entry = numbered
        # Under its own name, as that says to some readers what the file is.
        name = _UNUSABLE.sub("_", entry.file.name.rpartition("/")[2])[-_LONGEST_NAME:]
        return _copy(reading, entry, folder / str(number) / name)

    return _in_order(copy, entries)


@contextmanager
def reading_ahead(
    read: Callable[[int, int], bytes], size: int, step: int
) -> Iterator[Callable[[int, int], bytes]]:
    """A `read` of a file of `size` bytes that is asked for `step` bytes at a time, from its beginning on."""
    ranges = ((begin, min(size, begin + step)) for begin in range(0, size, step))
    pieces = _in_order(lambda pair: read(*pair), ranges)
    try:
        yield lambda begin, end: next(pieces)
    finally:
        pieces.close()


def _in_order(make: Callable[[Given], Made], given: Iterator[Given]) -> Generator[Made, None, None]:
    """What `make` makes of all that is given, some of it ahead of its turn."""
    waiting: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stlib-fetch")
    try:
        for one in given:
            waiting.append(pool.submit(make, one))
            if len(waiting) > _AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _copy(reading: Reading, entry: Entry, path: Path) -> SourceFile:
    assert reading.address is not None
    refuse_changed(entry, reading.address)
    store, address = open_store(reading.address), reading.address.below(entry.file.name)
    path.parent.mkdir()
    if reading.part is None:
        fetch_file(store, address, path, entry.file.size)
        refuse_changed(entry, reading.address)  # it may have been replaced meanwhile, by one as long
        return replace(entry.file, path=str(path), size=path.stat().st_size)
    part = reading.part
    with path.open("wb") as copy:
        for begin, end in reading.ranges:
            copy.seek(begin - part.begin)
            for at in range(begin, end, _PIECE):
                copy.write(fetch_range(store, address, at, min(end, at + _PIECE)))
    refuse_changed(entry, reading.address)
    part = replace(part, begin=0, end=part.end - part.begin)
    return replace(entry.file, path=str(path), part=part, size=reading.size)
