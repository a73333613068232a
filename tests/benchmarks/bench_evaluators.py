r"""Evaluators of retrieval: seconds and peak memory beside Sentence Transformers.

    python tests/benchmarks/bench_evaluators.py [--documents 100000] [--dimension 384] [--queries 1000] \
        [--samples 2000] [--rounds 3] [--threads 1]

Models are looked-up vectors, so that the evaluators themselves are measured. Both libraries evaluate the same
data in turn, in this process; both must find the same metrics. Peak memory is that of processes of their own
that evaluate once, less that of one which only holds the data.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bench_common import describe

LIBRARIES = ("stlib", "sentence_transformers")


class Table:
    """A model whose embeddings are rows of a matrix; its inputs are row numbers."""

    similarity_fn_name = "cosine"
    model_card_data = None

    def __init__(self, rows: np.ndarray, similarity: Callable[..., torch.Tensor]) -> None:
        self.rows = torch.from_numpy(rows)
        self.similarity = similarity
        self.model_card_data = self

    def set_evaluation_metrics(self, *_: Any, **__: Any) -> None:
        """Nothing is kept."""

    def encode_query(self, inputs: list[str], **_: Any) -> torch.Tensor:
        return self.rows[[int(i) for i in inputs]]

    encode_document = encode_query


def library_parts(name: str) -> tuple[Any, Any]:
    """The evaluators and the utilities of a library."""
    evaluation = importlib.import_module(f"{name}.sentence_transformer.evaluation")
    return evaluation, importlib.import_module(f"{name}.util")


def vectors(n: int, dimension: int) -> np.ndarray:
    """Rows in 500 clusters, as embeddings have them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal(size=(500, dimension), dtype=np.float32)
    rows = rng.standard_normal(size=(n, dimension), dtype=np.float32)
    for start in range(0, n, 1000):  # so that the data itself is the peak of making it
        part = rows[start : start + 1000]
        part += centres[rng.integers(0, 500, len(part))]
    return rows


def retrieval_task(n_documents: int, n_queries: int) -> tuple[dict, dict, dict]:
    """Queries and documents are row numbers; each query has three relevant documents."""
    rng = np.random.default_rng(1)
    corpus = {f"d{i}": str(i) for i in range(n_documents)}
    queries = {f"q{i}": str(n_documents + i) for i in range(n_queries)}
    relevant = {q: {f"d{i}" for i in rng.integers(0, n_documents, 3)} for q in queries}
    return queries, corpus, relevant


def reranking_samples(n_samples: int, n_rows: int) -> list[dict]:
    """Two positive and 28 negative documents each, none twice: the reference orders equal ones by chance."""
    rng = np.random.default_rng(2)
    samples = []
    for _ in range(n_samples):
        query, *documents = map(str, rng.choice(n_rows, 31, replace=False))
        samples.append({"query": query, "positive": documents[:2], "negative": documents[2:]})
    return samples


def evaluator_and_model(library: str, kind: str, options: argparse.Namespace) -> tuple[Any, Table]:
    evaluation, util = library_parts(library)
    rows = vectors(options.documents + options.queries, options.dimension)
    if kind == "reranking":
        samples = reranking_samples(options.samples, len(rows))
        evaluator = evaluation.RerankingEvaluator(samples)
    else:
        functions = {"cosine": util.cos_sim, "dot": util.dot_score} if kind == "two" else None
        task = retrieval_task(options.documents, options.queries)
        evaluator = evaluation.InformationRetrievalEvaluator(*task, score_functions=functions)
    return evaluator, Table(rows, util.cos_sim)


def compare(kind: str, title: str, options: argparse.Namespace) -> None:
    """Print medians of both libraries in turn and their ratio."""
    both = [evaluator_and_model(library, kind, options) for library in LIBRARIES]
    seconds: list[list[float]] = [[], []]
    for turn in range(options.rounds + 1):
        found = []
        for times, (evaluator, model) in zip(seconds, both, strict=True):
            started = time.process_time()
            found.append(evaluator(model))
            if turn:
                times.append(time.process_time() - started)
        difference = max(abs(found[0][name] - value) for name, value in found[1].items())
        if difference > 1e-6:
            raise SystemExit(f"{title}: metrics differ by {difference}")
    ours, theirs = (statistics.median(times) for times in seconds)
    print(f"{title:44} {ours:7.2f} s  reference {theirs:7.2f} s  {theirs / ours:5.2f} times as fast")


def peak(library: str, evaluates: bool, options: argparse.Namespace) -> float:
    """MiB at the peak of a process that makes the evaluator and perhaps runs it."""
    arguments = [
        f"--{name}={getattr(options, name)}" for name in ("documents", "dimension", "queries", "threads")
    ]
    done = subprocess.run(
        [sys.executable, __file__, *arguments, f"--child={library}", *(["--evaluate"] if evaluates else [])],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def child(options: argparse.Namespace) -> None:
    evaluator, model = evaluator_and_model(options.child, "one", options)
    # What a first product allocates belongs to the library of linear algebra.
    model.similarity(model.rows[:100], model.rows[:100])
    if options.evaluate:
        evaluator(model)
    scale = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--evaluate", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        child(options)
        return
    describe("stlib", "sentence-transformers", "torch", "numpy", "scikit-learn")
    sizes = f"{options.documents:,} x {options.dimension}, {options.queries:,} queries"
    print(f"{sizes}; processor seconds, median of {options.rounds}, {options.threads} thread(s)")
    compare("one", "InformationRetrieval, one score function", options)
    compare("two", "InformationRetrieval, two score functions", options)
    compare("reranking", f"Reranking, {options.samples:,} samples of 30 documents", options)
    for library in LIBRARIES:
        held, used = (peak(library, evaluates, options) for evaluates in (False, True))
        print(f"peak memory of {library}: {used:.0f} MiB, {used - held:.0f} MiB beyond the data")


if __name__ == "__main__":
    main()
