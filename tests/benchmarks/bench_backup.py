"""What backing up, restoring, copying and verifying a large collection costs, beside what its disk writes.

    python tests/benchmarks/bench_backup.py [--documents 1000000] [--home FOLDER] [--target FOLDER]

The collection is that of `bench_million.py`, and a FOLDER that holds it already is used as it is. The disk is
measured in the same run, before and after: as many bytes as the backup has, written at once and waited for
(as `dd conv=fsync` does). Processor time is printed beside the clock, which a busy machine spoils.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_common import describe
from bench_million import NAME, QUESTION

BLOCK = os.urandom(1 << 20)


def disk_speed(folder: Path, size: int) -> float:
    """MB/s at which `size` bytes are written to a file and are on the disk."""
    path = folder / "disk"
    started = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(max(1, size >> 20)):
            file.write(BLOCK)
        file.flush()
        os.fsync(file.fileno())
    speed = file_megabytes(path) / (time.perf_counter() - started)
    path.unlink()
    return speed


def file_megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def measure(what: str, run: Callable[[], Any], megabytes: float | None = None) -> Any:
    started, spent = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    rate = "" if megabytes is None else f", {megabytes / seconds:,.0f} MB/s"
    print(f"{what}: {seconds:.1f} s by the clock, {cpu:.1f} s of processor time{rate}", flush=True)
    return result


class Writer:
    """Adds one document after the other while something else goes on, and looks at the write-ahead log."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.slowest = 0.0
        self.added = 0
        self.log_bytes = 0

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        from indexing import Collection

        log = self._home / "collections" / NAME / "catalog.sqlite-wal"
        with Collection.open(NAME, home=self._home) as collection:
            while not self._stop.is_set():
                started = time.perf_counter()
                text = f"written during a backup, number {self.added}"
                collection.add([{"id": f"during-{os.getpid()}-{self.added}", "text": text}])
                self.slowest = max(self.slowest, time.perf_counter() - started)
                self.added += 1
                self.log_bytes = max(self.log_bytes, log.stat().st_size if log.exists() else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--home", help="where the collection is kept, or lies already")
    parser.add_argument("--target", help="where backups go; default: a temporary folder")
    options = parser.parse_args()
    describe("faiss-cpu", "SQLAlchemy")
    with tempfile.TemporaryDirectory(dir=options.target) as folder:
        home = Path(options.home or Path(folder) / "home")
        if not (home / "collections" / NAME).exists():
            million = Path(__file__).with_name("bench_million.py")
            command = [sys.executable, str(million), "--documents", str(options.documents)]
            subprocess.run([*command, "--home", str(home), "--part", "bulk"], check=True)
        run(home, Path(folder))


def run(home: Path, folder: Path) -> None:
    from app.facade.backups import back_up, copy, restore
    from app.facade.caller import local_caller
    from app.settings import Location
    from indexing import Collection

    me, source = local_caller(), Location(home)
    size = (home / "collections" / NAME / "catalog.sqlite").stat().st_size
    with Collection.open(NAME, home=home) as collection:
        info = collection.info()
        print(f"{info.documents:,} documents in {info.chunks:,} passages, catalog of {size / 1e6:,.0f} MB")
        collection.search(QUESTION)
        report = measure("verify", collection.verify)
        assert report.clean, report
    print(f"the disk: {disk_speed(folder, size):,.0f} MB/s")
    backup = folder / "backup.tar"
    measure("backup", lambda: back_up(me, source, backup, [NAME]), size / 1e6)
    target = Location(folder / "restored")
    measure("restore", lambda: restore(me, target, backup), file_megabytes(backup))
    print(f"the disk: {disk_speed(folder, size):,.0f} MB/s")
    with Collection.open(NAME, home=target.home) as restored:
        measure("the first search of what was restored", lambda: restored.search(QUESTION))
    shutil.rmtree(folder / "restored")
    backup.unlink()
    with Writer(home) as writer:
        measure(
            "backup while one document after the other is added", lambda: back_up(me, source, backup, [NAME])
        )
    print(
        f"{writer.added} documents were added meanwhile, the slowest in {writer.slowest * 1e3:.0f} ms; the"
        f" write-ahead log had {writer.log_bytes / 1e6:,.0f} MB at most"
    )
    backup.unlink()
    rows = measure("copy", lambda: copy(me, source, NAME, Location(folder / "copied"))).rows
    print(f"{sum(rows.values()):,} rows were copied and compared")
    with Collection.open(NAME, home=home) as collection:  # as it was, for the next run
        collection.delete([f"during-{os.getpid()}-{number}" for number in range(writer.added)])


if __name__ == "__main__":
    main()
