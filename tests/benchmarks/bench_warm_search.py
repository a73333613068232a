"""A warm `Collection.search` over 100,000 chunks, hybrid, k = 10: p50 and p95 in milliseconds, and where they
go.

    python tests/benchmarks/bench_warm_search.py [--chunks 100000]

Passages are sentences of the sample corpus, shuffled together. The reference is what one would put together
by hand over the same passages: SQLite's FTS5 with its bm25, a float32 FAISS scan, reciprocal rank fusion, and
the texts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
from bench_common import describe, sample_corpus

from indexing import Collection
from indexing.models.encoders import load_encoder, normalise

DEPTH = 100


def passages(corpus: Path, count: int) -> Iterator[dict]:
    rows = [json.loads(line) for line in (corpus / "corpus.jsonl").open(encoding="utf-8")]
    sentences = [s for row in rows for s in re.split(r"(?<=\.)\s+", row["text"]) if 20 < len(s) < 300]
    rng = random.Random(0)
    for i in range(count):
        yield {"id": str(i), "text": " ".join(rng.sample(sentences, 3))[:600]}


class ByHand:
    """FTS5 + FAISS + RRF."""

    def __init__(self, documents: list[dict]) -> None:
        self._encoder = load_encoder(None)
        self._index = faiss.IndexFlatIP(self._encoder.dimension)
        texts = [d["text"] for d in documents]
        for start in range(0, len(texts), 10_000):
            self._index.add(normalise(self._encoder.encode_document(texts[start : start + 10_000])))
        self._sql = sqlite3.connect(":memory:")
        self._sql.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize='porter')")
        self._sql.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", enumerate(texts))

    def search(self, query: str) -> list[tuple[int, str]]:
        vector = normalise(self._encoder.encode_query([query]))
        _, near = self._index.search(vector, DEPTH)
        match = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
        rows = self._sql.execute(
            "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?", (match, DEPTH)
        ).fetchall()
        scores: dict[int, float] = {}
        for ranking in (near[0].tolist(), [row[0] for row in rows]):
            for rank, key in enumerate(ranking):
                scores[key] = scores.get(key, 0.0) + 1 / (60 + rank)
        best = sorted(scores, key=lambda key: -scores[key])[:10]
        return [
            (k, self._sql.execute("SELECT text FROM words WHERE rowid = ?", (k,)).fetchone()[0]) for k in best
        ]


def times(search: Callable[[str], object], queries: list[str]) -> list[float]:
    for query in queries[:10]:
        search(query)
    measured = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        measured.append((time.perf_counter() - started) * 1e3)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=100_000)
    chunks = parser.parse_args().chunks
    describe("faiss-cpu", "tantivy", "sqlalchemy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = sample_corpus(folder / "corpus")
        documents = list(passages(corpus, chunks))
        queries = [json.loads(line)["text"] for line in (corpus / "queries.jsonl").open(encoding="utf-8")]
        with Collection.create("bench", home=folder / "home") as collection:
            collection.add(documents)
            collection.refresh()
            steps: dict[str, list[float]] = {}

            def search(query: str) -> None:
                for step, ms in collection.search(query, 10).steps.items():
                    steps.setdefault(step, []).append(ms)

            ours = times(search, queries)
        theirs = times(ByHand(documents).search, queries)
    p50, reference = statistics.median(ours), statistics.median(theirs)
    print(f"{chunks:,} chunks, {len(queries)} questions, hybrid, k = 10, with snippets")
    print(f"Collection.search  p50 {p50:6.2f} ms  p95 {statistics.quantiles(ours, n=20)[-1]:6.2f} ms")
    print(f"by hand            p50 {reference:6.2f} ms  p95 {statistics.quantiles(theirs, n=20)[-1]:6.2f} ms")
    print(f"ratio of medians {p50 / reference:.2f}")
    print("  " + ", ".join(f"{step} {statistics.median(ms):.2f}" for step, ms in steps.items()))


if __name__ == "__main__":
    main()
