"""The leg of weighted terms alone: milliseconds a question over a million passages, beside SciPy's matrices.

    python tests/benchmarks/bench_sparse_leg.py [--passages 1000000] [--terms 60] [--asked 8]

Terms are drawn as words of a language are (rank and frequency by Zipf's law over a vocabulary of 30,522); the
weight of a term rises with its rarity and varies from passage to passage, as that of SPLADE models does. A
question has terms of one of the passages. The answers of all are compared with each other.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_common import describe
from scipy.sparse import csr_matrix

from indexing.beside.sparse_codes import SparseCodes
from indexing.inverted.postings import Terms
from indexing.inverted.segment import SparseRowsOf
from indexing.inverted.snapshot import SEGMENT_ROWS, InvertedSnapshot, write
from indexing.views.sparse_reader import SparseReader

VOCABULARY = 30_522


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--terms", type=int, default=60)
    parser.add_argument("--asked", type=int, default=8)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--seismic", action="store_true", help="Beside pyseismic-lsr, too.")
    given = parser.parse_args()
    describe("numpy", "scipy", "pyseismic-lsr")
    random = np.random.default_rng(7)
    codes = draw(random, given.passages, given.terms)
    questions = [ask(random, codes, given.asked) for _ in range(given.questions)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        reader = published(Path(folder), codes)
        print(f"published in {time.perf_counter() - started:.1f} s")
        size = sum(
            path.stat().st_size
            for path in max(Path(folder).iterdir(), key=lambda one: int(one.name)).glob("rows-*.bin")
        )
        print(f"{size / len(codes):.0f} bytes a passage")
        ours, answers = timed(lambda q: reader.search(q, given.k), questions)
        masked = random.random(given.passages) < 0.3
        filtered, _ = timed(lambda q: reader.search(q, given.k, masked), questions)
    matrix = as_matrix(codes)
    columns = matrix.tocsc()
    by_rows, said = timed(lambda q: best(matrix @ dense(q), given.k), questions[:20])
    by_columns, _ = timed(lambda q: best(columns[:, q.terms] @ q.weights, given.k), questions[:20])
    for (rows, scores), hits in zip(said, answers, strict=False):
        assert np.allclose(scores[: len(hits.scores)], hits.scores, rtol=1e-4), "another answer"
        assert len(set(rows.tolist()) & set(hits.documents.tolist())) >= given.k - 2
    if given.seismic:
        beside_seismic(codes, questions, answers, given.k)
    for name, times in (
        ("this leg", ours),
        ("this leg, a filter that allows 30 %", filtered),
        ("SciPy, all rows (CSR)", by_rows),
        ("SciPy, the question's columns (CSC)", by_columns),
    ):
        print(f"{name}: p50 {np.median(times):.2f} ms, p95 {np.percentile(times, 95):.2f} ms")


def beside_seismic(codes, questions, answers, k: int) -> None:  # type: ignore[no-untyped-def]
    """Its time and how many of the exact answers it finds, at the settings of its documentation."""
    import seismic

    words = np.asarray([str(term) for term in range(VOCABULARY)], dtype=seismic.get_seismic_string())
    weights = (codes.weights * codes.steps[codes.rows]).astype(np.float32)
    dataset = seismic.SeismicDataset()
    for row in range(len(codes)):
        here = slice(int(codes.starts[row]), int(codes.starts[row + 1]))
        dataset.add_document(str(row), words[codes.terms[here]], weights[here])
    started = time.perf_counter()
    index = seismic.SeismicIndex.build_from_dataset(dataset)
    print(f"seismic built in {time.perf_counter() - started:.1f} s")
    times, found = timed(
        lambda q: index.search("q", words[q.terms], q.weights, k=k, query_cut=8, heap_factor=0.7), questions
    )
    shares = [
        len({int(hit[2]) for hit in hits} & set(exact.documents.tolist())) / max(len(exact.documents), 1)
        for hits, exact in zip(found, answers, strict=True)
    ]
    print(f"seismic: p50 {np.median(times):.2f} ms, {np.mean(shares):.3f} of the exact answers")


def draw(random: np.random.Generator, passages: int, terms: int) -> SparseCodes:
    """Passages of about `terms` distinct terms."""
    frequency = 1.0 / np.arange(3, VOCABULARY + 3)
    bounds = np.cumsum(frequency / frequency.sum())
    drawn = np.searchsorted(bounds, random.random((passages, int(terms * 1.25)))).astype(np.int32)
    drawn.sort(axis=1)
    first = np.diff(drawn, axis=1, prepend=-1) > 0
    counts = first.sum(axis=1)
    chosen = drawn[first]
    rarity = np.log(1 + 1 / (frequency / frequency.sum() * terms))[chosen].astype(np.float32)
    weights = rarity * random.lognormal(0, 0.5, len(chosen)).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    steps = (np.maximum.reduceat(weights, starts[:-1]) / 255).astype(np.float32)
    levels = np.maximum(np.rint(weights / np.repeat(steps, counts)), 1).astype(np.uint8)
    return SparseCodes(starts, chosen, levels, steps)


def ask(random: np.random.Generator, codes: SparseCodes, count: int) -> Terms:
    row = int(random.integers(len(codes)))
    here = slice(int(codes.starts[row]), int(codes.starts[row + 1]))
    share = codes.weights[here] / codes.weights[here].sum()
    at = np.sort(random.choice(np.arange(here.start, here.stop), count, replace=False, p=share))
    return Terms(codes.terms[at], (codes.weights[at] * codes.steps[row]).astype(np.float32))


def published(folder: Path, codes: SparseCodes) -> SparseReader:
    base = None
    none = np.empty(0, np.int64)
    for number, first in enumerate(range(0, len(codes), SEGMENT_ROWS)):
        last = min(first + SEGMENT_ROWS, len(codes))
        a, b = int(codes.starts[first]), int(codes.starts[last])
        part = SparseCodes(
            codes.starts[first : last + 1] - a, codes.terms[a:b], codes.weights[a:b], codes.steps[first:last]
        )
        keys = np.arange(first, last)
        write(folder / str(number), SparseRowsOf.of(keys, keys, part), {}, base=base, removed=none)
        base = InvertedSnapshot.open(folder / str(number))
    return SparseReader.of(base, 1)


def as_matrix(codes: SparseCodes) -> csr_matrix:
    values = (codes.weights * codes.steps[codes.rows]).astype(np.float32)
    return csr_matrix((values, codes.terms, codes.starts), shape=(len(codes), VOCABULARY))


def dense(question: Terms) -> np.ndarray:
    vector = np.zeros(VOCABULARY, np.float32)
    vector[question.terms] = question.weights
    return vector


def best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    found = np.argpartition(-scores, k)[:k]
    order = found[np.lexsort((found, -scores[found]))]
    return order, scores[order]


def timed(search, questions):  # type: ignore[no-untyped-def]
    search(questions[0])
    times, answers = [], []
    for question in questions:
        started = time.perf_counter()
        answers.append(search(question))
        times.append((time.perf_counter() - started) * 1000)
    return times, answers


if __name__ == "__main__":
    main()
