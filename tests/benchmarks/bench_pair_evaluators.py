"""Times the evaluators of pairs beside the reference, on the same 10,000 pairs in the same run.

Both libraries get a model that looks its vectors up, so that only the evaluators themselves are measured;
encoding has its own benchmark. Run: ``python tests/benchmarks/bench_pair_evaluators.py [--pairs 10000]``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_common import describe, process_cost

DIMENSION = 384
TIMES = 5


class Lookup:
    """A model whose vectors are ready: the text of a number gives the row of that number."""

    similarity_fn_name = "cosine"
    device = torch.device("cpu")

    def __init__(self, n: int) -> None:
        self.vectors = np.random.default_rng(0).normal(size=(n, DIMENSION)).astype(np.float32)
        self.model_card_data = self

    def set_evaluation_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Part of what evaluators expect of a model."""

    def encode(
        self, texts: Any, convert_to_numpy: bool = True, convert_to_tensor: bool = False, **kwargs: Any
    ) -> Any:
        rows = self.vectors[[int(text) for text in texts]]
        if convert_to_tensor:
            return torch.from_numpy(rows)
        return rows if convert_to_numpy else list(torch.from_numpy(rows))

    encode_query = encode_document = encode


def evaluators(evaluation: Any, n: int) -> dict[str, Callable[[], Any]]:
    """What is measured, by name; each call makes a new evaluator, as some keep what they computed."""
    picks = np.random.default_rng(1)
    first, second, third = ([str(i) for i in picks.integers(0, 2 * n, n)] for _ in range(3))
    labels, scores = picks.integers(0, 2, n).tolist(), picks.random(n).tolist()
    functions = ["cosine", "dot", "euclidean", "manhattan"]
    mined = {str(i): str(i) for i in range(n)}
    duplicates = list(zip(map(str, range(0, n, 2)), map(str, range(1, n, 2)), strict=False))
    few = first[: n // 2], second[: n // 2]
    return {
        "EmbeddingSimilarity, 4 functions": lambda: evaluation.EmbeddingSimilarityEvaluator(
            first, second, scores, similarity_fn_names=functions
        ),
        "BinaryClassification, 4 functions": lambda: evaluation.BinaryClassificationEvaluator(
            first, second, labels, similarity_fn_names=functions
        ),
        "Triplet, 4 functions": lambda: evaluation.TripletEvaluator(
            first, second, third, similarity_fn_names=functions
        ),
        "Translation": lambda: evaluation.TranslationEvaluator(*few),
        "ParaphraseMining": lambda: evaluation.ParaphraseMiningEvaluator(mined, duplicates, top_k=10),
    }


def compare(n: int) -> None:
    """Seconds of both libraries, taking turns, and their ratio."""
    import sentence_transformers.sentence_transformer.evaluation as theirs

    import stlib.evaluation as ours

    model = Lookup(2 * n)
    found, expected = evaluators(ours, n), evaluators(theirs, n)
    print(f"{'evaluator':36}{'stlib':>10}{'reference':>12}{'ratio':>8}")
    for name in found:
        times: tuple[list[float], list[float]] = ([], [])
        metrics: list[Any] = [None, None]
        for turn in range(TIMES + 1):
            for side, make in enumerate((found[name], expected[name])):
                evaluator = make()
                started = time.perf_counter()
                metrics[side] = evaluator(model)
                if turn:  # the first turn warms up
                    times[side].append(time.perf_counter() - started)
        left, right = metrics
        np.testing.assert_allclose(list(left.values()), list(right.values()), rtol=1e-4, atol=1e-6)
        ours_s, theirs_s = map(statistics.median, times)
        print(f"{name:36}{ours_s * 1e3:8.0f} ms{theirs_s * 1e3:9.0f} ms{theirs_s / ours_s:7.2f}×")


def peak_of_translation(library: str, n: int) -> float:
    """MiB of a process that evaluates translations, less those of one that only makes the vectors."""
    base = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]; "
    base += f"import bench_pair_evaluators as b, {library}.evaluation as e; m = b.Lookup({2 * n}); "
    texts = f"[str(i) for i in range({n})]"
    run = f"e.TranslationEvaluator({texts}, {texts})(m)"
    _, alone = process_cost([sys.executable, "-W", "ignore", "-c", base], times=1)
    _, whole = process_cost([sys.executable, "-W", "ignore", "-c", base + run], times=1)
    return whole - alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    describe("stlib", "sentence-transformers", "torch", "numpy", "scipy", "scikit-learn")
    print(
        f"{options.pairs:,} pairs of {DIMENSION} dimensions, {options.threads} thread(s), median of {TIMES}"
    )
    compare(options.pairs)
    for library in ("stlib", "sentence_transformers"):
        print(
            f"TranslationEvaluator, memory: {peak_of_translation(library, options.pairs):.0f} MiB ({library})"
        )


if __name__ == "__main__":
    main()
