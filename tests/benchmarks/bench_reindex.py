"""What a reindex costs beside indexing the same documents afresh, and what a search waits while it runs.

python tests/benchmarks/bench_reindex.py [--documents 20000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import tempfile
import time
from pathlib import Path

from bench_common import describe

from indexing import ChunkSettings, Collection

WORDS = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8").split()
QUESTIONS = ["how does a document get found", "speed of search", "train a reranker", "damaged files"]


def documents(count: int) -> list[dict]:
    rng = random.Random(1)
    return [{"id": str(i), "text": " ".join(rng.choices(WORDS, k=60))} for i in range(count)]


def index_afresh(home: Path, rows: list[dict]) -> float:
    started = time.process_time()
    with Collection.create("fresh", home=home, chunk=ChunkSettings(128, 16)) as collection:
        collection.add(rows)
        collection.refresh()
    return time.process_time() - started


def reindex(home: Path) -> float:
    started = time.process_time()
    with Collection.open("changed", home=home) as collection:
        collection.reindex(chunk=ChunkSettings(128, 16))
    return time.process_time() - started


def ask(collection: Collection, seconds: float) -> list[float]:
    """Milliseconds of each search, one after the other."""
    until = time.monotonic() + seconds
    spent = []
    while time.monotonic() < until:
        for question in QUESTIONS:
            started = time.perf_counter()
            collection.search(question)
            spent.append((time.perf_counter() - started) * 1000)
    return spent


def again_and_again(home: Path, stop: multiprocessing.Event) -> None:
    with Collection.open("changed", home=home) as collection:
        while not stop.is_set():
            collection.reindex(promote=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args()
    describe("faiss-cpu", "tantivy", "sqlalchemy")
    rows = documents(arguments.documents)
    ratios, fresh, changed = [], [], []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            with Collection.create("changed", home=home) as collection:
                collection.add(rows)
                collection.refresh()
            fresh.append(index_afresh(home, rows))
            changed.append(reindex(home))
            ratios.append(changed[-1] / fresh[-1])
    print(
        f"reindex of {len(rows):,} documents: {statistics.median(changed):.2f} s of processor time, afresh"
        f" {statistics.median(fresh):.2f} s: {statistics.median(ratios):.2f} x"
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Collection.create("changed", home=home) as collection:
            collection.add(rows)
            collection.refresh()
            ask(collection, 1)
            alone = statistics.median(ask(collection, arguments.seconds))
            context = multiprocessing.get_context("spawn")
            stop = context.Event()
            other = context.Process(target=again_and_again, args=(home, stop))
            other.start()
            time.sleep(3)
            beside = statistics.median(ask(collection, arguments.seconds))
            stop.set()
            other.join()
    print(f"search p50: {alone:.1f} ms alone, {beside:.1f} ms beside a reindex: {beside / alone:.2f} x")


if __name__ == "__main__":
    main()
