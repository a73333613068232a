"""What a passage takes on the disk, by model width, precision and database: the table of app/OPERATIONS.md.

    python tests/benchmarks/bench_sizing.py [--passages 20000] [--postgres postgresql://…]

Passages are of 60 words, one a document, drawn from 20,000 words as natural texts draw them (the i-th in
proportion to 1 / (i + 5)), with three fields of metadata.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from indexing import Collection

WORDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--postgres", help="an empty database to measure too")
    given = parser.parse_args()
    rows = documents(given.passages)
    characters = sum(len(row["text"]) for row in rows) / len(rows)
    print(f"{given.passages:,} passages of {WORDS} words, {characters:.0f} characters")
    print(f"{'dimension':>9} {'precision':>9} {'database':>10} {'catalog':>8} {'views':>6} {'bytes':>6}")
    for dimension in (256, 384, 1024):
        for precision in ("int8", "binary", "float32"):
            measure(rows, dimension, precision, None)
    if given.postgres:
        measure(rows, 256, "int8", given.postgres)


def measure(rows: list[dict], dimension: int, precision: str, db: str | None) -> None:
    vectors = np.random.default_rng(1).normal(size=(len(rows), dimension)).astype(np.float32)
    with tempfile.TemporaryDirectory() as home:
        where = {"home": home, "db": db}
        with Collection.create("sized", dimension=dimension, precision=precision, **where) as collection:
            collection.add(rows, vectors=vectors)
            collection.compact()
            catalog = database_bytes(db) if db else None
        total = sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file())
        if catalog is None:
            catalog = sum(path.stat().st_size for path in Path(home).rglob("catalog.sqlite*"))
            total -= catalog
    kind = "PostgreSQL" if db else "SQLite"
    print(
        f"{dimension:>9} {precision:>9} {kind:>10} {catalog / len(rows):>8.0f} {total / len(rows):>6.0f}"
        f" {(catalog + total) / len(rows):>6.0f}"
    )


def database_bytes(db: str) -> int:
    import psycopg

    with psycopg.connect(db, autocommit=True) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert found is not None
    return int(found[0])


def documents(count: int) -> list[dict]:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, rng.integers(2, 10))) for _ in range(20_000)]
    weights = 1 / (np.arange(len(words)) + 5.0)
    drawn = rng.choice(len(words), (count, WORDS), p=weights / weights.sum())
    return [
        {
            "id": f"folder/file-{i}.md",
            "text": " ".join(words[at] for at in row),
            "metadata": {"year": 1990 + i % 35, "topic": words[i % 50], "author": words[i % 900]},
        }
        for i, row in enumerate(drawn)
    ]


if __name__ == "__main__":
    os.environ.setdefault("STLIB_STATE", tempfile.mkdtemp())
    main()
