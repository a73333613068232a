"""Copies of a collection with its vectors stored otherwise search on the same legs."""

from __future__ import annotations

from app.report.precisions import scratch_collections
from indexing import Collection
from tests.toy_terms import ToyTerms


def test_a_copy_has_the_third_leg_too(tmp_path):
    with Collection.create("c", home=tmp_path, sparse=ToyTerms()) as collection:
        collection.add([{"id": str(n), "text": f"note {n} about whales"} for n in range(5)])
        with scratch_collections(collection, ["binary"], lambda: None) as copies:
            copy = copies["binary"]
            assert (copy.modes, copy.info().precision) == (collection.modes, "binary")
            found = [
                [(r.id, r.score) for r in one.search("note 3", 2, mode="sparse").results]
                for one in (collection, copy)
            ]
            assert found[0] == found[1]
            assert found[0][0][0] == "3"
