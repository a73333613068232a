"""The process that parses foreign files, so that a file which crashes its parser crashes only this.

Reads one line of JSON per file from standard input, answers with frames on standard output, and is gone
when the parent is: at the end of standard input it exits, whatever it is doing.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from indexing.documents.formats import read_file
from indexing.documents.frames import Frame, encode_frame, file_from_line, write_payload
from indexing.documents.model import Document
from indexing.documents.source import SourceFile

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

__all__ = ["batches", "main"]

# A batch is large enough to make its frame cheap and small enough to keep two processes at work.
_BATCH_ITEMS, _BATCH_CHARACTERS, _BATCH_SECONDS = 512, 256 * 1024, 0.5
_BATCH_BYTES = 2**20  # of the file: metadata is no text and may be as large


def main(memory_limit: int, time_limit: float) -> None:
    """Serve until standard input ends. `memory_limit` in bytes of address space (0: none), `time_limit`
    in seconds of processor time without a batch after which the system ends it, should the parent be gone."""
    _limit_resources(memory_limit)
    _allow_processor_time(time_limit)
    output = _private_output()
    write_payload(output, b"ready")
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, lines), daemon=True).start()
    while True:
        for frame in batches(file_from_line(lines.get())):
            try:
                write_payload(output, encode_frame(frame))
            except OSError:
                os._exit(0)  # the parent is gone
            _allow_processor_time(time_limit)


def batches(file: SourceFile) -> Iterator[Frame]:
    """The items of one file in batches; the last one says so, and may be empty."""
    frame = Frame()
    characters, read, started = 0, 0, time.monotonic()
    for item in read_file(file):
        frame.items.append(item)
        characters += len(item.text) if type(item) is Document else 0
        full = len(frame.items) >= _BATCH_ITEMS or characters >= _BATCH_CHARACTERS
        full = full or file.bytes_read - read >= _BATCH_BYTES
        if full or time.monotonic() - started > _BATCH_SECONDS:
            frame.read = file.bytes_read
            yield frame
            frame = Frame()
            characters, read, started = 0, file.bytes_read, time.monotonic()
    frame.notes, frame.read, frame.end = file.notes, file.bytes_read, True
    yield frame


def _receive(stream: BinaryIO, lines: queue.SimpleQueue[bytes]) -> None:
    for line in stream:
        lines.put(line)
    os._exit(0)


def _private_output() -> BinaryIO:
    """The pipe to the parent under a number of its own, so that a library which prints cannot garble it."""
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return private


def _limit_resources(memory_limit: int) -> None:
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_limit:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = memory_limit if hard == resource.RLIM_INFINITY else min(memory_limit, hard)
        try:
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        except (OSError, ValueError):  # macOS knows the limit and refuses to set it
            return


def _allow_processor_time(seconds: float) -> None:
    """From now on. The kernel enforces it, so it also ends a parser stuck in C that lets no thread run;
    waiting for a slow parent takes no processor time."""
    if resource is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(time.process_time() + seconds) + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
