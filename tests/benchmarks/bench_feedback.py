"""What the log of searches costs: a search, a word of a person, an import, the end of a process.

    python tests/benchmarks/bench_feedback.py

A search with the log on is compared with the same search without it, in turns, in one process: what is
added to it is the difference of the medians, and the time of the call that queues it.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_common import describe, process_cost, sample_corpus

from app.facade.caller import Caller
from app.facade.feedback import import_feedback, log_search, record
from app.facade.search import SearchRequest, search
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.settings import Location
from indexing import Collection
from indexing.documents import read_paths
from indexing.evaluation import read_beir

ANN = Caller("ann", "page", "visit")
GOAL_MS = 0.5


def measure_searches(collection: Collection, location: Location, questions: list[str]) -> None:
    times: dict[bool, list[float]] = {True: [], False: []}
    calls = []
    log = feedback_log(feedback_place(location))
    for number, question in enumerate(questions * 3):
        for logged in (True, False) if number % 2 else (False, True):
            request = SearchRequest(q=question)
            started = time.perf_counter()
            search(collection, request, caller=ANN if logged else None, location=location)
            times[logged].append((time.perf_counter() - started) * 1e3)
        found = search(collection, request)
        started = time.perf_counter()
        log_search(ANN, location, collection, found, k=10)
        calls.append((time.perf_counter() - started) * 1e3)
    assert log.flush(10) and log.dropped == 0
    on, off = statistics.median(times[True]), statistics.median(times[False])
    print(f"search, log on / off (medians)        {on:8.3f} / {off:.3f} ms: {on - off:+.3f} ms")
    calls.sort()
    print(
        f"queueing an answer, median and p99    {statistics.median(calls):8.3f}"
        f" / {calls[len(calls) * 99 // 100]:.3f} ms (goal {GOAL_MS})"
    )


def measure_words(collection: Collection, location: Location, questions: list[str]) -> None:
    started = time.perf_counter()
    for number, question in enumerate(questions):
        record(ANN, location, collection, question, "str.join", "grade", number % 4)
    seconds = time.perf_counter() - started
    print(f"judgments, each committed             {len(questions) / seconds:8.0f} a second")


def measure_import(collection: Collection, location: Location, folder: Path) -> None:
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    ids = [line.split('"', 4)[3] for line in lines[:5000]]
    path = folder / "many.csv"
    rows = [
        f"question number {i % 1000},{ids[(i * 7 + i // 1000) % len(ids)]},{i % 3}\n" for i in range(20_000)
    ]
    path.write_text("question,document,grade\n" + "".join(rows), encoding="utf-8")
    for what in ("import of 20,000 judgments", "the same again"):
        started = time.perf_counter()
        import_feedback(ANN, location, collection, path)
        print(f"{what:<38}{time.perf_counter() - started:8.2f} s")


def measure_process(home: Path) -> None:
    command = [sys.executable, "-c", "from app.cli import main; main()"]
    command += ["search", "sample", "run a command and capture its output", "--home", str(home)]
    costs = {mode: [] for mode in ("on", "off")}
    for _ in range(4):
        for mode, found in costs.items():
            found.append(process_cost(command, times=3, env={"STLIB_LOG": mode})[0])
    on, off = (min(found) for found in costs.values())
    print(f"`stlib search`, cold, log on / off    {on:8.3f} / {off:.3f} s: {(on - off) * 1e3:+.0f} ms")


def main() -> None:
    describe("sqlalchemy")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STLIB_STATE"] = f"{folder}/state"
        home, corpus = Path(folder) / "home", sample_corpus(Path(folder) / "corpus")
        location = Location(home)
        with Collection.create("sample", home=home) as collection:
            collection.add(read_paths([corpus]))
            questions = list(read_beir(corpus / "asked", "train").queries.values())
            measure_searches(collection, location, questions)
            measure_words(collection, location, questions)
            measure_import(collection, location, corpus)
        measure_process(home)


if __name__ == "__main__":
    main()
