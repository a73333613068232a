"""Counts come from the views where these are near the log, and are those of the catalog everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from indexing import Collection
from indexing.catalog import reads
from indexing.catalog.database import reading

NEAR = 3000  # more documents than are read beside a snapshot


def in_the_catalog(collection: Collection) -> tuple[int, int]:
    with reading(collection._session.database) as connection:
        live = collection._session.live()
        return (
            reads.count_documents(connection, collection._session.id),
            reads.count_chunks(connection, live.generation.id),
        )


def counts(collection: Collection) -> tuple[int, int]:
    info = collection.info()
    assert len(collection) == info.documents
    return info.documents, info.chunks


@pytest.mark.parametrize("first", [40, NEAR])
def test_however_documents_came_and_went(tmp_path, first):
    rng = np.random.default_rng(first)
    with Collection.create("c", home=tmp_path, dimension=4) as collection:
        assert counts(collection) == (0, 0)

        def add(numbers):
            vectors = rng.normal(size=(len(numbers), 4)).astype(np.float32)
            collection.add([{"id": str(i), "text": f"text {i}"} for i in numbers], vectors=vectors)

        add(range(first))
        for _ in range(6):
            assert counts(collection) == in_the_catalog(collection)
            collection.delete([str(i) for i in rng.integers(0, first, 9)])
            assert counts(collection) == in_the_catalog(collection)
            add(rng.choice(first + 30, 12, replace=False).tolist())
            with Collection.open("c", home=tmp_path) as other:
                assert counts(other) == counts(collection) == in_the_catalog(collection)
        collection.search(vector=np.ones(4), mode="semantic")
        assert counts(collection) == in_the_catalog(collection)


def test_the_catalog_is_not_asked_to_count_where_views_know(tmp_path, monkeypatch):
    with Collection.create("c", home=tmp_path, dimension=4) as collection:
        vectors = np.random.default_rng(0).normal(size=(NEAR + 1, 4)).astype(np.float32)
        collection.add([{"id": str(i), "text": "some text"} for i in range(NEAR)], vectors=vectors[:-1])
        collection.add([{"id": "new", "text": "a text"}], vectors=vectors[-1:])
        collection.delete(["7", "8"])
        monkeypatch.setattr(reads, "count_documents", None)
        monkeypatch.setattr(reads, "count_chunks", None)
        assert counts(collection) == (NEAR - 1, NEAR - 1)


def test_without_views_and_with_damaged_ones_the_catalog_counts(tmp_path):
    with Collection.create("c", home=tmp_path, dimension=4) as collection:
        vectors = np.random.default_rng(0).normal(size=(NEAR, 4)).astype(np.float32)
        collection.add([{"id": str(i), "text": "some text"} for i in range(NEAR)], vectors=vectors)
    views = tmp_path / "collections/c/views"
    for path in [*views.rglob("rows-*.bin"), *views.rglob("columns-*.bin")]:
        data = bytearray(path.read_bytes())
        data[4096 + 50] ^= 1  # the first keys
        path.write_bytes(data)
    with Collection.open("c", home=tmp_path) as collection:
        assert counts(collection) == (NEAR, NEAR)
        collection._views.discard()
        assert counts(collection) == (NEAR, NEAR)
