"""Ray for tests: one instance for the tests of a module, drivers that are killed, and a durable count of what
was embedded.

    with ray_instance(folder) as ray:               # about 4 s
        collection.load(path, ray="auto", workers=2)
        ray.processes("Embedder")                   # process ids
        ray.embedded()                              # titles of all that was embedded, in any process of it
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 120
_MARK = "STLIB_TEST_RAY"

# Run by every Python of the instance when it starts. What embeds notes it before it begins, in a file that
# outlives the process, and takes its time, so that it can be killed meanwhile.
_WATCHING = """
import importlib.abc, importlib.util, os, sys, time

class _Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "indexing.generations.makers":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def watched(module):
            run(module)
            make = module.EmbeddingMaker.make
            def noted(self, documents, vectors=None):
                told = "".join(document.title + "\\n" for document in documents).encode()
                handle = os.open(os.environ["STLIB_TEST_EMBEDDED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(handle, told)
                os.close(handle)
                while os.path.exists(os.environ["STLIB_TEST_EMBEDDED"] + "-held"):
                    time.sleep(0.05)
                fatal = os.environ["STLIB_TEST_EMBEDDED"] + "-fatal"
                if os.path.exists(fatal) and open(fatal, "rb").read() in told:
                    os.kill(os.getpid(), 9)
                time.sleep(float(os.environ["STLIB_TEST_SLOW"]))
                return make(self, documents, vectors)
            module.EmbeddingMaker.make = noted
        spec.loader.exec_module = watched
        return spec

sys.meta_path.insert(0, _Watch())
"""

_DRIVER = """
import sys
from indexing import Collection
from indexing.bulk.ray.run import load_by_ray
from indexing.bulk.sources import NamedSource

name, home, db, source, size = sys.argv[1:]
with Collection.open(name, home=home or None, db=db or None) as collection:
    parts = collection._session, collection._views, collection._encoders
    def say(report):
        print(report.added.committed, flush=True)
    with NamedSource(collection._session, source) as named:
        report = load_by_ray(*parts, named, "local", workers=2, piece_documents=int(size), progress=say)
print("finished" if report.finished else report.bad, flush=True)
"""


@dataclass(frozen=True)
class Watched:
    """Processes of an instance, told from those of others by a variable of their environment."""

    mark: str
    folder: Path

    def environment(self, slow: float) -> dict[str, str]:
        """For the processes to watch; each piece takes `slow` seconds more than it needs."""
        (self.folder / "sitecustomize.py").write_text(_WATCHING, "utf-8")
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        return {
            _MARK: self.mark,
            "PYTHONPATH": path,
            "STLIB_TEST_EMBEDDED": str(self.folder / "embedded"),
            "STLIB_TEST_SLOW": str(slow),
        }

    def processes(self, title: str = "") -> list[int]:
        """Those that call themselves so."""
        found, mark = [], f"{_MARK}={self.mark}".encode()
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                called = process.name.isdigit() and title.encode() in (process / "cmdline").read_bytes()
                if called and mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return sorted(found)

    def wait_for(self, title: str) -> int:
        """The first process of that title, once there is one."""
        until = time.monotonic() + _PATIENCE_S
        while not (found := self.processes(title)):
            assert time.monotonic() < until, f"no process {title}"
            time.sleep(0.05)
        return found[0]

    def embedded(self) -> list[str]:
        """Titles of documents, once for each time that one was embedded."""
        path = self.folder / "embedded"
        return path.read_text("utf-8").split("\n")[:-1] if path.exists() else []

    @contextlib.contextmanager
    def fatal(self, title: str) -> Iterator[None]:
        """What embeds the document of that title meanwhile is killed by it."""
        with self._told("fatal", f"{title}\n"):
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is embedded meanwhile."""
        with self._told("held", ""):
            yield

    @contextlib.contextmanager
    def _told(self, what: str, text: str) -> Iterator[None]:
        path = self.folder / f"embedded-{what}"
        path.write_text(text, "utf-8")
        try:
            yield
        finally:
            path.unlink()

    def end(self) -> None:
        """Kills what is left. Ray's helpers look for a minute at what became of a driver that was killed."""
        for _ in range(200):
            left = [pid for pid in self.processes() if pid != os.getpid()]
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def watched(folder: Path) -> Watched:
    folder.mkdir(parents=True, exist_ok=True)
    return Watched(uuid.uuid4().hex, folder)


@contextlib.contextmanager
def ray_instance(folder: Path, workers: int = 2, slow: float = 0.1) -> Iterator[Watched]:
    """An instance that this process is connected to: `ray="auto"` means it."""
    pytest.importorskip("ray")
    from ray._raylet import get_authentication_mode

    from indexing.bulk.ray.cluster import ray_cluster

    instance, mode = watched(folder), get_authentication_mode()
    # The process itself keeps its environment; what Ray starts inherits this.
    with mock.patch.dict(os.environ, instance.environment(slow)), ray_cluster("local", workers):
        os.environ.pop(_MARK)
        yield instance
    assert get_authentication_mode() == mode  # a cluster that is joined next has no token of ours


@contextlib.contextmanager
def driver(
    instance: Watched, name: str, source: Path, *, home: Path | str = "", db: str = "", size: int, slow: float
) -> Iterator[subprocess.Popen[str]]:
    """A process that loads `source` by an instance of its own, and prints how many documents are stored."""
    pytest.importorskip("ray")
    with (instance.folder / "driver.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, name, str(home), db, str(source), str(size)],
            env={**os.environ, **instance.environment(slow)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        instance.end()
