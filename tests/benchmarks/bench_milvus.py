"""Milvus Lite beside FAISS: bringing rows there, searching with and without filters, changes, and its disk.

    python tests/benchmarks/bench_milvus.py [--rows 20000] [--precision int8]

Milvus Lite is one process, in Python, and scans every row: what it takes says nothing of a Milvus cluster,
which has indexes, and was not measured. STLIB_MILVUS names another Milvus to measure instead.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from pathlib import Path

import numpy as np
from bench_common import describe, time_once
from bench_engines import DIMENSION, K, make_vectors, milliseconds

from indexing import Collection
from indexing.storage.files import bytes_below

FILTERS = {"all": None, "a half": "tens < 5", "a tenth": "tens = 3", "a hundredth": "hundreds = 42"}


def ids_of(collection: Collection, query: np.ndarray, filter: str | None) -> list[str]:
    answer = collection.search(vector=query, k=K, mode="semantic", filter=filter)
    return [result.id for result in answer.results]


def bench(rows: int, precision: str, folder: Path) -> None:
    vectors, queries = make_vectors(rows)
    documents = [
        {"id": f"d{n}", "text": f"text {n}", "metadata": {"tens": n % 10, "hundreds": n % 100}}
        for n in range(rows)
    ]
    collections = {}
    for engine in ("faiss", "milvus"):
        made = Collection.create(engine, home=folder, dimension=DIMENSION, precision=precision, engine=engine)
        added = time_once(lambda made=made: (made.add(documents, vectors=vectors), made.refresh()))
        print(f"{engine:8} {rows:,} x {DIMENSION} in {precision}: added and published in {added:.1f} s")
        collections[engine] = made
    print(f"files of Milvus Lite: {bytes_below(folder / 'milvus.db') / 2**20:.0f} MiB")
    for what, filter in FILTERS.items():
        p50 = {
            name: milliseconds(lambda query, one=one, given=filter: ids_of(one, query, given), queries)
            for name, one in collections.items()
        }
        same = all(
            ids_of(collections["faiss"], query, filter) == ids_of(collections["milvus"], query, filter)
            for query in queries
        )
        print(
            f"{what:12} p50 FAISS {p50['faiss']:7.2f} ms, Milvus {p50['milvus']:7.2f} ms, "
            f"{'the same ids' if same else 'other ids'}"
        )
    more = [{**one, "id": f"more {one['id']}"} for one in documents[:1_000]]
    for name, one in collections.items():
        added = time_once(lambda one=one: (one.add(more, vectors=vectors[:1_000]), one.refresh()))
        removed = time_once(lambda one=one: (one.delete([each["id"] for each in more]), one.refresh()))
        print(f"{name:8} 1,000 more: {added:.2f} s; away again: {removed:.2f} s")
    back = time_once(lambda: collections["faiss"].reindex(engine="milvus"))
    print(f"an engine change of {rows:,} rows from FAISS to Milvus, embedding nothing: {back:.1f} s")
    for one in collections.values():
        one.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--precision", default="int8")
    options = parser.parse_args()
    if importlib.util.find_spec("pymilvus") is None or importlib.util.find_spec("milvus_lite") is None:
        print("left out: it needs pymilvus and milvus-lite")
        return
    describe("pymilvus", "milvus-lite", "faiss-cpu", "numpy")
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("STLIB_MILVUS", str(Path(name) / "milvus.db"))
        bench(options.rows, options.precision, Path(name))


if __name__ == "__main__":
    main()
