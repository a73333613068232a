"""Single-query time and recall of the vector engines, and keyword indexing and search, on made-up data.

    python tests/benchmarks/bench_engines.py [--rows 100000] [--engines faiss usearch]

The reference of each vector line is a float32 scan by NumPy over the same rows, measured in the same run;
recall@10 is against its answers. Keyword text is 40 words drawn by Zipf's law, three in ten function words.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from indexing.lexical import LexicalSnapshot, LexicalWriter
from indexing.names import PRECISIONS
from indexing.quantization import Codec, normalize
from indexing.vectors import engine_class

DIMENSION, QUERIES, K = 256, 50, 10


def milliseconds(run: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    """Median over the queries, after one that warms up."""
    run(queries[0])
    times = []
    for query in queries:
        start = time.perf_counter()
        run(query)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def make_vectors(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in clusters of about 100, and queries that belong to the clusters."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(max(rows // 100, 1), DIMENSION))

    def draw(count: int) -> np.ndarray:
        return normalize(centres[rng.integers(0, len(centres), count)] + rng.normal(size=(count, DIMENSION)))

    return draw(rows), draw(QUERIES)


def bench_vectors(rows: int, engines: list[str]) -> None:
    vectors, queries = make_vectors(rows)

    def scan(query: np.ndarray) -> np.ndarray:
        scores = vectors @ query
        best = np.argpartition(-scores, K)[:K]
        return best[np.argsort(-scores[best])]

    reference = milliseconds(scan, queries)
    truth = [scan(query) for query in queries]
    print(f"NumPy float32 scan of {rows:,} x {DIMENSION}: {reference:.2f} ms")
    for engine in engines:
        for precision in PRECISIONS:
            codec = Codec.fit(precision, vectors[:5000])
            codes = codec.encode(vectors).codes
            start = time.perf_counter()
            index = engine_class(engine).build(codec, codes)
            built = time.perf_counter() - start
            p50 = milliseconds(lambda query, index=index: index.search(query, K), queries)
            found = [index.search(query, K).rows for query in queries]
            recall = np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, truth, strict=True)])
            print(
                f"{engine:8} {precision:8} p50 {p50:6.2f} ms  ratio {p50 / reference:5.2f}  "
                f"recall@{K} {recall:.3f}  built in {built:.1f} s"
            )


def bench_words(rows: int) -> None:
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(30_000)])
    weights = 1 / np.arange(1, len(words) + 1)
    drawn = words[rng.choice(len(words), (min(rows, 20_000), 40), p=weights / weights.sum())]
    function = np.array("the of and to in is for".split())
    drawn = np.where(rng.random(drawn.shape) < 0.3, function[rng.integers(0, 7, drawn.shape)], drawn)
    texts = [" ".join(line) for line in drawn]
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        with LexicalWriter(name) as writer:
            writer.apply((key, words[key % 30_000], texts[key % len(texts)]) for key in range(rows))
            writer.publish(Path(name) / "1")
        seconds = time.perf_counter() - start
        snapshot = LexicalSnapshot.open(Path(name) / "1")
        questions = np.array(["how do i " + " ".join(rng.choice(words[:3000], 4)) for _ in range(QUERIES)])
        p50 = milliseconds(lambda text: snapshot.search(str(text), 100), questions)
        print(f"tantivy: {rows / seconds:,.0f} documents/s (reference 20,000: {rows / seconds / 20_000:.2f})")
        print(f"tantivy: p50 {p50:.2f} ms for 100 hits of {rows:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--engines", nargs="+", default=["faiss"])
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "faiss-cpu", "usearch", "tantivy"))
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {versions}")
    bench_vectors(options.rows, options.engines)
    bench_words(options.rows)


if __name__ == "__main__":
    main()
