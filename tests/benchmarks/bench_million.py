"""What a large collection costs: bulk, one document more, a search after it, a cold search, filters, facets.

    python tests/benchmarks/bench_million.py [--documents 1000000] [--home FOLDER]

Documents are one line each, like summaries of packages, made of common words by a fixed seed. Run it with
PYTHONPATH on another checkout for the figures before a change; a FOLDER that holds the collection already is
measured as it is. Processor time is printed beside the clock, which a busy machine spoils.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from bench_common import describe

NAME = "million"
QUESTION = "parse command line arguments"
ROUNDS = 15
ACTIONS = (
    "parse write read convert compress encrypt validate render search index merge split convert cache fetch "
    "upload schedule monitor profile test mock format highlight translate stream sort filter cluster plot"
).split()
KINDS = (
    "fast simple small modern typed async lightweight portable secure pluggable declarative distributed "
    "incremental parallel minimal reliable robust generic embedded extensible"
).split()
THINGS = (
    "command line arguments|JSON documents|configuration files|log records|time series|image thumbnails|"
    "HTML tables|network packets|database migrations|audio samples|XML feeds|calendar events|cells of sheets|"
    "unit tests|web forms|file archives|geographic coordinates|chemical structures|source code|mail messages|"
    "colour palettes|vector graphics|user sessions|text corpora|neural networks|protein sequences|"
    "stock prices|sensor readings|event queues|access tokens"
).split("|")
PLACES = (
    "Django|Flask|the terminal|Linux servers|Kubernetes|notebooks|PostgreSQL|Redis|Windows|embedded devices|"
    "the browser|microservices|data science|continuous integration|MQTT brokers|Raspberry Pi|mobile apps|"
    "AWS Lambda|Apache Kafka|game engines"
).split("|")


def summaries(count: int) -> Iterator[dict]:
    """Documents of one line with a few metadata fields, the same at every call."""
    rng = np.random.default_rng(0)
    for first in range(0, count, 10_000):
        size = min(10_000, count - first)
        sizes = (len(ACTIONS), len(KINDS), len(THINGS), len(PLACES), 100_000)
        parts = [rng.integers(0, size_of_list, size).tolist() for size_of_list in sizes]
        for i, (action, kind, thing, place, number) in enumerate(zip(*parts, strict=True), first):
            yield {
                "id": f"package-{i}",
                "text": f"{KINDS[kind]} library to {ACTIONS[action]} {THINGS[thing]} for {PLACES[place]}, "
                f"release {number}",
                "metadata": {
                    "kind": KINDS[kind],
                    "year": 1990 + i % 35,
                    "topics": [ACTIONS[action], THINGS[thing]],
                },
            }


def status(name: str, pid: int | str = "self") -> int:
    """MiB of one line of /proc/PID/status; 0 if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name + ":")), 0) >> 10


def bulk(home: str, count: int) -> None:
    from indexing import Collection

    started, spent = time.perf_counter(), time.process_time()
    with Collection.create(NAME, home=home) as collection:
        report = collection.add(summaries(count))
    seconds, cpu = time.perf_counter() - started, time.process_time() - spent
    print(
        f"bulk: {count / seconds:,.0f} documents/s ({count / cpu:,.0f} per processor second), of which "
        f"{report.view_seconds:.1f} s for views at the end, peak {status('VmHWM')} MiB"
    )


def one_more(home: str) -> None:
    from indexing import Collection

    figures: dict[str, list[tuple[float, float]]] = {}
    with Collection.open(NAME, home=home) as collection:

        def measure(what: str, run) -> object:
            started, spent = time.perf_counter(), time.process_time()
            result = run()
            cost = (time.perf_counter() - started) * 1e3, (time.process_time() - spent) * 1e3
            figures.setdefault(what, []).append(cost)
            return result

        measure("first search", lambda: collection.search(QUESTION))
        for i in range(ROUNDS):
            text = f"a note about quokkas, number {os.getpid()} {i}"
            document = {
                "id": f"more-{os.getpid()}-{i}",
                "text": text,
                "metadata": {"kind": "note", "year": 2030},
            }
            measure("search again", lambda: collection.search(QUESTION))
            measure("one document more", lambda document=document: collection.add([document]))
            found = measure("a search after it", lambda text=text: collection.search(text))
            assert found.results[0].id == document["id"], found.results[0]  # type: ignore[attr-defined]
        for i in range(ROUNDS):
            measure(
                "a filter for the first time", lambda i=i: collection.search("x", filter=f"year = {1990 + i}")
            )
            measure("a filter again", lambda i=i: collection.search("x", filter=f"year = {1990 + i}"))
        deleted = [f"package-{i}" for i in range(ROUNDS)]
        for id_ in deleted:
            measure("one document less", lambda id_=id_: collection.delete([id_]))
            measure("a search after that", lambda: collection.search(QUESTION))
        collection.add(d for d in summaries(ROUNDS))
        measure("facets", collection.facets)
        measure("facets again", collection.facets)
    for what, costs in figures.items():
        clock, cpu = (median(cost[i] for cost in costs) for i in (0, 1))
        worst = max(cost[0] for cost in costs)
        print(f"{what}: {clock:.1f} ms by the clock (worst {worst:.0f}), {cpu:.1f} ms of processor time")
    print(f"in this process: anonymous {status('RssAnon')} MiB, with mapped files {status('VmRSS')} MiB")


def cold(home: str, *arguments: str) -> None:
    """A command line process from start to end, its memory looked at every 5 ms."""
    command = [sys.executable, "-c", "from app.cli import main; main()", *arguments, "--home", home]
    costs = []
    for _ in range(6):
        started, before = time.perf_counter(), os.times()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        anonymous = whole = 0
        while process.poll() is None:
            anonymous = max(anonymous, status("RssAnon", process.pid))
            whole = max(whole, status("VmRSS", process.pid))
            time.sleep(0.005)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        costs.append((time.perf_counter() - started, cpu, anonymous, whole))
    seconds, cpu, anonymous, whole = (median(column) for column in zip(*costs[1:], strict=True))
    print(
        f"cold stlib {arguments[0]}: {seconds:.2f} s by the clock, {cpu:.2f} s of processor time, anonymous "
        f"{anonymous:.0f} MiB, with mapped files {whole:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--home", help="where the collection is kept, or lies already")
    parser.add_argument("--part", choices=["bulk", "more"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "bulk":
        return bulk(options.home, options.documents)
    if options.part == "more":
        return one_more(options.home)
    describe("faiss-cpu", "tantivy", "numpy")
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or folder
        again = [sys.executable, __file__, "--documents", str(options.documents), "--home", home, "--part"]
        if not (Path(home) / "collections" / NAME).exists():
            subprocess.run([*again, "bulk"], check=True)
        cold(home, "search", NAME, QUESTION)
        cold(home, "info", NAME)
        subprocess.run([*again, "more"], check=True)
    return None


if __name__ == "__main__":
    main()
