"""`quantize_embeddings` beside Sentence Transformers, for every precision.

    python tests/benchmarks/bench_quantize.py [--rows 200000] [--dimension 384]

Medians of interleaved calls; the codes of both libraries are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
from functools import partial

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from bench_common import describe, time_once
from sentence_transformers.util.quantization import quantize_embeddings as reference

from stlib.quantization import quantize_embeddings

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


def compare(name: str, embeddings: np.ndarray, rounds: int, **options: object) -> None:
    ours, theirs = (partial(f, embeddings, **options) for f in (quantize_embeddings, reference))
    np.testing.assert_array_equal(ours(), theirs())
    times = [(time_once(ours), time_once(theirs)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:24} {a * 1e3:8.1f} ms, reference {b * 1e3:8.1f} ms, ratio {b / a:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    describe("sentence-transformers", "numpy")
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(options.rows, options.dimension)).astype(np.float32)
    print(f"{embeddings.shape} float32")
    for precision in PRECISIONS:
        compare(precision, embeddings, options.rounds, precision=precision)
    ranges = np.vstack([embeddings.min(axis=0), embeddings.max(axis=0)])
    for precision in ("int8", "uint8"):
        compare(f"{precision}, ranges given", embeddings, options.rounds, precision=precision, ranges=ranges)
    for rows in (100, 1000):
        for precision in PRECISIONS:
            name = f"{precision}, {rows} rows"
            compare(name, embeddings[:rows], 200, precision=precision, ranges=ranges)


if __name__ == "__main__":
    main()
