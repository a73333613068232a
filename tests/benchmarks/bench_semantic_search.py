r"""`semantic_search` in a large float corpus: seconds and memory beside Sentence Transformers.

    python tests/benchmarks/bench_semantic_search.py [--rows 1000000] [--dimension 384] [--queries 100] \
        [--rounds 5] [--threads 2]

Both libraries search the same generated corpus in turn, in this process; both must find the same. Memory is
the most that the process held during a call beyond what it held before, corpus and queries apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from bench_common import describe
from sentence_transformers import util as reference

from stlib import util

_PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def measured(run: Callable[[], object]) -> tuple[float, float, object, float]:
    """Seconds of a call, MiB it took at its peak, its result, and its seconds of processor time."""
    before, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started, work = time.perf_counter(), time.process_time()
    result = run()
    seconds, work = time.perf_counter() - started, time.process_time() - work
    done.set()
    watcher.join()
    return seconds, max(0, peak[0] - before) / 2**20, result, work


def same(ours: list, theirs: list) -> str:
    """How the two results differ."""
    rows = [
        ([h["corpus_id"] for h in a], [h["corpus_id"] for h in b]) for a, b in zip(ours, theirs, strict=True)
    ]
    gap = max(
        abs(x["score"] - y["score"])
        for a, b in zip(ours, theirs, strict=True)
        for x, y in zip(a, b, strict=True)
    )
    return f"{sum(a == b for a, b in rows)} of {len(rows)} rankings equal, scores within {gap:.1e}"


def compare(name: str, queries: torch.Tensor, corpus: torch.Tensor, rounds: int, **options: object) -> None:
    libraries = {"stlib": util, "sentence-transformers": reference}
    score = options.pop("score", "cos_sim")
    runs: dict[str, list[tuple[float, float, object, float]]] = {library: [] for library in libraries}
    for _ in range(rounds):
        for library, module in libraries.items():
            search = partial(module.semantic_search, score_function=getattr(module, score), **options)
            runs[library].append(measured(partial(search, queries, corpus)))
    seconds = {library: statistics.median(r[0] for r in done) for library, done in runs.items()}
    work = {library: statistics.median(r[3] for r in done) for library, done in runs.items()}
    memory = {library: max(r[1] for r in done) for library, done in runs.items()}
    print(f"{name}: {same(runs['stlib'][0][2], runs['sentence-transformers'][0][2])}")
    for library in libraries:
        print(
            f"  {library:22} {seconds[library]:6.2f} s ({work[library]:6.2f} s of processors), "
            f"{memory[library]:5.0f} MiB beyond its inputs"
        )
    ratios = [figure["sentence-transformers"] / figure["stlib"] for figure in (seconds, work)]
    print(f"  ratio {ratios[0]:.2f} ({ratios[1]:.2f} of processors' time)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    describe("sentence-transformers", "torch")
    generator = torch.Generator().manual_seed(0)
    corpus = torch.randn(options.rows, options.dimension, generator=generator)
    queries = torch.randn(options.queries, options.dimension, generator=generator)
    print(f"corpus {tuple(corpus.shape)} float32, {corpus.nbytes / 2**20:.0f} MiB; {len(queries)} queries")
    compare("cosine, top 10", queries, corpus, options.rounds)
    compare("cosine, top 10, one query", queries[:1], corpus, options.rounds)
    compare("cosine, top 100", queries, corpus, options.rounds, top_k=100)
    compare("dot product, top 10", queries, corpus, options.rounds, score="dot_score")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"peak of the process {peak:.0f} MiB")


if __name__ == "__main__":
    main()
