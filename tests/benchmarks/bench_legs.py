"""What each leg is worth: NDCG@10 of hybrid search with all of them, and with each switched off in turn.

    python tests/benchmarks/bench_legs.py [BEIR_FOLDER …] [--split test] --sparse MODEL

Also prints how fast the model alone reads documents without torch. The sample corpus is always measured. p
is that of a paired randomisation test against all legs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from bench_common import describe, p_value, sample_corpus

from indexing import Collection
from indexing.documents import Document, read_paths
from indexing.evaluation import BeirQueries, read_beir
from stlib.runtime.sparse_encoder import SparseRuntimeEncoder

LEGS = ("semantic", "keyword", "sparse")


def report(name: str, folder: Path, split: str, sparse: str) -> None:
    beir = read_beir(folder, split)
    with (
        tempfile.TemporaryDirectory() as home,
        Collection.create("bench", home=home, sparse=sparse) as collection,
    ):
        started = time.perf_counter()
        collection.add(read_paths([folder]), on_error="skip")
        took = time.perf_counter() - started
        print(f"\n{name}, {split} split, {len(beir.qrels)} questions")
        passages = collection.info().chunks
        print(f"  indexed at {passages / took:,.0f} passages/s with weighted terms")
        whole = gains(collection, beir, {})
        print(f"  {'all legs':24} {whole.mean():.4f}")
        for leg in LEGS:
            without = gains(collection, beir, {leg: 0.0})
            print(f"  {'without ' + leg:24} {without.mean():.4f}  p = {p_value(whole - without):.4f}")
        print_rate(folder, sparse)
        for leg in LEGS:
            print(f"  {leg + ' alone':24} {gains(collection, beir, {}, leg).mean():.4f}")


def print_rate(folder: Path, model: str) -> None:
    """Of the first documents, cut to about a hundred tokens."""
    encoder = SparseRuntimeEncoder.load(model)
    texts = [f"{one.title}\n{one.text}"[:520] for one in islice(read_documents(folder), 600)]
    encoder.encode_document(texts[:20])
    started = time.perf_counter()
    encoder.encode_document(texts)
    print(f"  the model alone: {len(texts) / (time.perf_counter() - started):,.0f} documents/s")


def read_documents(folder: Path) -> Iterator[Document]:
    return (one for one in read_paths([folder]) if isinstance(one, Document))


def gains(
    collection: Collection, beir: BeirQueries, weights: dict[str, float], mode: str = "hybrid"
) -> np.ndarray:
    """NDCG@10 of each question."""
    serving = collection.reindex(ranking={"weights": weights}, promote=False).serving.id
    found = collection.evaluate(beir.queries, beir.qrels, mode=mode, serving=serving)
    return np.asarray([found.per_query[id_]["NDCG@10"] for id_ in sorted(found.per_query)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--sparse", help="Folder of a model of weighted terms.")
    given = parser.parse_args()
    if given.sparse is None:
        print("left out: it needs --sparse FOLDER, a model of weighted terms")
        return
    describe("stlib", "faiss-cpu", "tantivy")
    with tempfile.TemporaryDirectory() as folder:
        sample = sample_corpus(Path(folder) / "sample")
        report("sample corpus", sample, "test", given.sparse)
    for folder in given.folders:
        report(folder.resolve().name, folder, given.split, given.sparse)


if __name__ == "__main__":
    main()
