"""Views of many segments that are made anew after removals were forgotten, and removals that are forgotten
while a view is written.
"""

from __future__ import annotations

import numpy as np
import pytest

from indexing import Collection
from indexing.catalog.database import writing
from indexing.catalog.erasing import forget_marks
from indexing.views import chunk_view, columns, lexical, vectors
from indexing.views.chunk_view import ChunkView
from indexing.views.columns import ColumnView
from indexing.views.sparse import SparseView
from tests.toy_terms import ToyTerms

ROWS, DIMENSION, SEGMENT = 200, 8, 40
VECTORS = np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32)
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture
def collection(tmp_path, monkeypatch):
    """Five segments of each kind."""
    monkeypatch.setattr(vectors, "SEGMENT_BYTES", SEGMENT * 4 * DIMENSION)
    monkeypatch.setattr(SparseView, "segment_rows", SEGMENT)
    monkeypatch.setattr(columns, "SEGMENT_DOCUMENTS", SEGMENT)
    monkeypatch.setattr(columns, "READ_DOCUMENTS", SEGMENT)
    terms = ToyTerms()
    with Collection.create(
        "c", home=tmp_path, dimension=DIMENSION, precision="float32", sparse=terms
    ) as made:
        for first in range(0, ROWS, 20):
            numbers = range(first, first + 20)
            made.add(
                [{"id": f"d{n}", "text": f"word{n}", "metadata": {"n": n % 7}} for n in numbers],
                vectors=VECTORS[list(numbers)],
            )
        assert made.refresh()
        yield made


@pytest.fixture
def steps(monkeypatch):
    """Names of the views whose snapshots were written, one for each; more than can be needed are refused."""
    taken = []

    def counted(view):
        publish_next = view._publish_next

        def publish(self, **options):
            taken.append(type(self).__name__)
            assert len(taken) < 100, "it never ends"
            return publish_next(self, **options)

        monkeypatch.setattr(view, "_publish_next", publish)

    counted(ChunkView)
    counted(ColumnView)
    return taken


def expect_all_but(collection, gone):
    left = [n for n in range(ROWS) if n not in gone]
    for query in (0, 99, 199):
        found = [r.id for r in collection.search(vector=VECTORS[query], k=9, mode="semantic").results]
        assert found == [f"d{left[row]}" for row in np.argsort(-(UNIT[left] @ UNIT[query]))[:9]]
        for mode in ("keyword", "sparse"):
            found = {r.id for r in collection.search(f"word{query}", k=9, mode=mode).results}
            assert (f"d{query}" in found) == (query not in gone)
    expected = sorted([n % 7 for n in left].count(value) for value in range(7))
    assert sorted(count for _, count in collection.facets()["n"].values) == expected
    report = collection.verify()
    assert (report.errors, report.repaired) == ([], [])


def test_views_of_many_segments_are_made_anew_after_removals_were_forgotten(collection, steps):
    collection.delete(["d3"])
    collection.compact()
    steps.clear()
    assert collection.rebuild_views()
    assert [steps.count(name) for name in ("VectorView", "SparseView", "ColumnView")] == [4, 4, 5]
    expect_all_but(collection, {3})
    for number in (99, 6):
        collection.erase([f"d{number}"])
    assert collection.rebuild_views()
    expect_all_but(collection, {3, 99, 6})


def test_a_rebuild_goes_on_after_a_stop_and_starts_again_when_more_was_forgotten(collection, steps):
    collection.delete(["d3"])
    collection.compact()
    view = collection._views.vectors(collection._session.live())
    view.discard()
    steps.clear()
    assert view._publish_next()
    assert collection.refresh()
    assert steps.count("VectorView") == 4
    view.discard()
    assert view._publish_next()
    collection.delete(["d0"])
    with writing(collection._session.database) as connection:
        forget_marks(connection, collection._session.id)
    expect_all_but(collection, {0, 3})


@pytest.mark.parametrize(
    ("module", "name"),
    [(chunk_view, "removals_after"), (lexical, "documents_after"), (columns, "metadata_changes_after")],
)
def test_what_is_forgotten_while_a_view_is_written_is_in_no_view(collection, monkeypatch, module, name):
    read, forgotten = getattr(module, name), []

    def forget_first(*given):
        if not forgotten:
            forgotten.append(name)
            with writing(collection._session.database) as connection:
                forget_marks(connection, collection._session.id)
        return read(*given)

    collection.delete(["d99"])
    monkeypatch.setattr(module, name, forget_first)
    assert collection.refresh()
    assert forgotten
    expect_all_but(collection, {99})
