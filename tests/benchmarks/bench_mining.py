"""`mine_hard_negatives` on pairs of texts: seconds and peak memory beside Sentence Transformers.

    python tests/benchmarks/bench_mining.py [--pairs 10000] [--rounds 3] [--threads 2] [--model FOLDER]

Both libraries mine the same pairs with the same vectors: those of a model that looks them up (so that only
the mining is measured), and those of an encoder that each library runs itself, the bundled static model
unless another is named. Rounds alternate. Memory is the peak of a process that imports one library, makes the
data and mines once, less that of a process which stops before mining.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from bench_common import describe, process_cost

from stlib.runtime.bundled import default_model_path

DIMENSION = 384
LIBRARIES = ("stlib", "sentence_transformers")
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "n-tuple, relative margin": {"output_format": "n-tuple", "relative_margin": 0.05},
    "labeled-list, random, limits": {
        "output_format": "labeled-list",
        "output_scores": True,
        "sampling_strategy": "random",
        "range_min": 5,
        "range_max": 60,
        "max_score": 0.9,
        "num_negatives": 5,
    },
}


def dataset(n: int) -> Any:
    """Questions of some ten words and answers of some thirty."""
    from datasets import Dataset

    rng = np.random.default_rng(0)
    words = np.array(
        [f"{a}{b}" for a in "bdfgklmnprst" for b in ("an", "e", "ilo", "or", "u", "ent", "aris")]
    )
    questions = [" ".join(rng.choice(words, rng.integers(6, 14))) for _ in range(n)]
    answers = [f"{q} {' '.join(rng.choice(words, rng.integers(10, 35)))}" for q in questions]
    return Dataset.from_dict({"question": questions, "answer": answers})


class Lookup:
    """Vectors made once; cosines by the library's own function."""

    device = torch.device("cpu")

    def __init__(self, library: str, n: int) -> None:
        util = __import__(f"{library}.util").util
        self.similarity, self.similarity_pairwise = util.cos_sim, util.pairwise_cos_sim
        rng = np.random.default_rng(1)
        queries = rng.standard_normal((n, DIMENSION), dtype=np.float32)
        answers = queries + 1.5 * rng.standard_normal((n, DIMENSION), dtype=np.float32)
        self._vectors = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, answers)]

    def get_embedding_dimension(self) -> int:
        return DIMENSION

    def encode_query(self, texts: list[str], **options: Any) -> np.ndarray:
        return self._vectors[0]

    def encode_document(self, texts: list[str], **options: Any) -> np.ndarray:
        return self._vectors[1]


def model_of(library: str, name: str, n: int) -> Any:
    if name == "lookup":
        return Lookup(library, n)
    package = __import__(library)
    return package.SentenceTransformer(name, device="cpu")


def miner_of(library: str) -> Callable[..., Any]:
    return __import__(f"{library}.util").util.mine_hard_negatives


def compare(name: str, n: int, rounds: int) -> None:
    models = {library: model_of(library, name, n) for library in LIBRARIES}
    data = dataset(n)
    for title, options in SETTINGS.items():
        seconds: dict[str, list[float]] = {library: [] for library in LIBRARIES}
        rows: dict[str, Any] = {}
        for _ in range(rounds):
            for library in LIBRARIES:
                started = time.perf_counter()
                rows[library] = miner_of(library)(data, models[library], verbose=False, **options)
                seconds[library].append(time.perf_counter() - started)
        ours, theirs = (statistics.median(seconds[library]) for library in LIBRARIES)
        # Random choices differ; their number does not.
        answer = "negative" if "negative" in rows["stlib"].column_names else data.column_names[1]
        same = np.mean([a == b for a, b in zip(*(rows[x][answer][:] for x in LIBRARIES), strict=True)])
        print(
            f"  {title:30s} {ours:6.2f} s, reference {theirs:6.2f} s: {theirs / ours:.2f} times as fast",
            end="",
        )
        print("" if "random" in title else f"; {same:.2%} of {len(rows['stlib']):,} rows equal")


def memory(name: str, n: int) -> None:
    for library in LIBRARIES:
        peaks = []
        for mine in (False, True):
            arguments = [sys.executable, __file__, "--child", library, "--pairs", str(n), "--model", name]
            peaks.append(process_cost([*arguments, *(["--mine"] if mine else [])], times=3)[1])
        print(f"  {library:22s} {peaks[1]:7.0f} MiB at the peak, {peaks[1] - peaks[0]:6.0f} MiB for mining")


def child(library: str, name: str, n: int, mine: bool) -> None:
    torch.set_num_threads(1)
    data, model, miner = dataset(n), model_of(library, name, n), miner_of(library)
    import pandas  # noqa: F401 - the reference imports it on the way, which is not what mining takes

    if mine:
        miner(data, model, verbose=False, **SETTINGS["n-tuple, relative margin"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", help="an encoder to mine with; default: the bundled one")
    parser.add_argument("--child", choices=LIBRARIES, help=argparse.SUPPRESS)
    parser.add_argument("--mine", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.model, args.pairs, args.mine)
        return
    describe("stlib", "sentence-transformers", "torch", "datasets", "numpy")
    torch.set_num_threads(args.threads)
    print(f"{args.pairs:,} pairs, {args.threads} threads, medians of {args.rounds} rounds")
    for name in ("lookup", args.model or str(default_model_path())):
        print(f"vectors looked up, {DIMENSION} dimensions:" if name == "lookup" else f"encoder {name}:")
        compare(name, args.pairs, args.rounds)
        memory(name, args.pairs)


if __name__ == "__main__":
    main()
