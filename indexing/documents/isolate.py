"""The parent's side of parsing in a child process: one child for many files, replaced when it dies.

A child that crashes, or sends nothing for `time_limit` seconds, costs the one file it was reading: what
it had read of it is kept, the file is reported as `Skipped`, and a new child goes on with the next file.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from indexing.documents.frames import Frame, decode_frame, line_from_file, read_payload
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile
from indexing.errors import IndexingError

__all__ = ["MEMORY_LIMIT", "TIME_LIMIT", "FileEnd", "IsolatedReader", "with_origin"]

logger = logging.getLogger(__name__)

# Parsing one file of the largest size allowed stays well below; a decompression bomb does not.
MEMORY_LIMIT = 4 * 2**30
TIME_LIMIT = 60.0
_START_LIMIT = 60.0
_FRAMES_AHEAD = 4
# Files are sent ahead of their turn so that the child never waits for the parent, but never more than
# fits into a pipe (64 KiB): both sides busy writing would wait for each other. One line may be longer than
# the rest; the longest path, escaped, is 24 KiB.
_BYTES_AHEAD = 16 * 1024

# The child gets its import path as data instead of by the environment or the working directory: a folder
# of documents may hold a file called json.py.
_BOOTSTRAP = (
    "import json, sys; options = json.loads(sys.argv[1]); sys.path[:] = options['path']; "
    "from indexing.documents.child import main; main(options['memory_limit'], options['time_limit'])"
)


class IsolatedReader:
    """Reads files in a child process. Iterate over `read(files)`; close it, or use it in a `with`.

    `on_frame(file, frame)` is called for every batch before its items come out, for progress and notes.
    """

    def __init__(
        self,
        *,
        memory_limit: int = MEMORY_LIMIT,
        time_limit: float = TIME_LIMIT,
        on_frame: Callable[[SourceFile, Frame], None] | None = None,
    ) -> None:
        self._memory_limit = memory_limit
        self._time_limit = time_limit
        self._on_frame = on_frame
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the child, if one is running."""
        return self._child.process.pid if self._child else None

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if self._child:
            self._child.kill()
            self._child = None

    def read(self, files: Iterable[SourceFile]) -> Iterator[Item]:
        """The items of all files, in order, as `read_files` does."""
        return (item for item in self.read_files(files) if not isinstance(item, FileEnd))

    def read_files(self, files: Iterable[SourceFile]) -> Iterator[Item | FileEnd]:
        """The items of all files, in order, each file with its end.

        Raises:
            IndexingError: no child can be started.
        """
        jobs = _Jobs(files)
        while True:
            child = self._running_child()
            for line in jobs.send():
                child.send(line)
            file = jobs.current()
            if file is None:
                return
            alive = yield from self._read_one(child, file)
            yield FileEnd(file)
            jobs.finish()
            if not alive:
                jobs.send_again()

    def _read_one(self, child: _Child, file: SourceFile) -> Generator[Item, None, bool]:
        """The items of one file; returns whether the child is still alive."""
        count = 0
        while True:
            try:
                frame = child.next_frame(file, self._time_limit)
            except _ChildLost as lost:
                self.close()
                kept = f"; the {count} documents read before are kept" if count else ""
                logger.debug("the parser process ended while reading %s: %s", file.source, lost)
                yield Skipped(file.source, None, f"{lost}{kept}")
                return False
            if self._on_frame:
                self._on_frame(file, frame)
            for item in frame.items:
                count += not isinstance(item, Skipped)
                yield with_origin(item, file)
            if frame.end:
                return True

    def _running_child(self) -> _Child:
        if self._child is None:
            self._child = _Child(self._memory_limit, self._time_limit)
        return self._child


@dataclass(frozen=True)
class FileEnd:
    """What came before it is all there is of this file."""

    file: SourceFile


def with_origin(item: Item, file: SourceFile) -> Item:
    """`item` with the path of `file`, where its id was made of it."""
    if isinstance(item, Document) and file.gives_id(item.id):
        return replace(item, origin=f"{file.root}/{item.id}")
    return item


class _Jobs:
    """Files in their order: those handed to the child, of which it reads the first, and those to come."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._coming = ((file, line_from_file(file)) for file in files)
        self._sent: deque[tuple[SourceFile, bytes]] = deque()
        self._again: deque[tuple[SourceFile, bytes]] = deque()  # were sent to a child that died
        self._bytes = 0

    def send(self) -> Iterator[bytes]:
        """The lines to send now: as many as are allowed ahead, and always one."""
        while self._bytes < _BYTES_AHEAD:
            job = self._again.popleft() if self._again else next(self._coming, None)
            if job is None:
                return
            self._sent.append(job)
            self._bytes += len(job[1])
            yield job[1]

    def current(self) -> SourceFile | None:
        return self._sent[0][0] if self._sent else None

    def finish(self) -> None:
        self._bytes -= len(self._sent.popleft()[1])

    def send_again(self) -> None:
        """What the dead child had not begun goes to the next one."""
        self._again.extendleft(reversed(self._sent))
        self._sent.clear()
        self._bytes = 0


class _ChildLost(Exception):
    """The child crashed or hangs; the message says how."""


class _Child:
    """One child process and the thread that takes its frames, a few ahead of the reader (back-pressure)."""

    def __init__(self, memory_limit: int, time_limit: float) -> None:
        self.process = _start(memory_limit, time_limit)
        self._frames: queue.Queue[bytes | None] = queue.Queue(_FRAMES_AHEAD)
        self._thread = threading.Thread(target=self._receive, name="parser-output", daemon=True)
        self._thread.start()
        # While the interpreter is torn down the thread keeps the lock of the pipe: closing that would abort.
        atexit.register(self.kill)
        first = self._first_word()
        if first != b"ready":
            how = "no answer" if first == b"" else self._last_words()
            self.kill()
            raise IndexingError(
                f"the process that parses files could not be started ({how}); "
                "try with more free memory, or read without isolation"
            )

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError:
            logger.debug("the parser process is gone")  # next_frame says how it ended

    def next_frame(self, file: SourceFile, time_limit: float) -> Frame:
        """Wait for a batch. Raises `_ChildLost`."""
        try:
            payload = self._next_payload(time_limit)
        except queue.Empty:
            raise _ChildLost(f"the parser made no progress in {time_limit:g} s and was stopped") from None
        if payload is None:
            self.process.wait()
            raise _ChildLost(f"the parser crashed on this file ({_ending(self.process)})")
        try:
            return decode_frame(payload, file.source)
        except ValueError as error:
            raise _ChildLost(f"the parser sent something unintelligible ({error})") from error

    def kill(self) -> None:
        atexit.unregister(self.kill)
        self.process.kill()
        while self._thread.is_alive():  # it may be waiting to hand over a frame nobody wants any more
            try:
                self._frames.get(timeout=0.05)
            except queue.Empty:
                continue
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    logger.debug("the parser process was gone before its pipe was closed")
        self.process.wait()

    def _first_word(self) -> bytes | None:
        """What the child sends first; nothing if it takes too long, None if it ended."""
        try:
            return self._next_payload(_START_LIMIT)
        except queue.Empty:
            return b""
        except BaseException:  # Ctrl-C while it starts
            self.kill()
            raise

    def _last_words(self) -> str:
        """How the child ended, which closed its pipe and may still be on its way out."""
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            logger.debug("the parser process closed its output and goes on")
        return _ending(self.process)

    def _next_payload(self, time_limit: float) -> bytes | None:
        return self._frames.get(timeout=time_limit)

    def _receive(self) -> None:
        assert self.process.stdout is not None
        payload: bytes | None = b""
        while payload is not None:
            payload = read_payload(self.process.stdout)
            self._frames.put(payload)


def _start(memory_limit: int, time_limit: float) -> subprocess.Popen[bytes]:
    options = {
        "path": [str(Path(entry).absolute()) for entry in sys.path if entry],
        "memory_limit": memory_limit,
        "time_limit": 2 * time_limit,  # the parent's own limit is the one that counts while it lives
    }
    # One thread and the plain allocator: pools reserve address space, which is limited here.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    return subprocess.Popen(  # noqa: S603 - this interpreter, running this package
        [sys.executable, "-I", "-X", "utf8", "-c", _BOOTSTRAP, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.poll()
    if code is None:
        return "no answer"
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
