"""Looking documents up, changing metadata, deleting by filter, vectors of one's own."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput, FilterError


def test_documents_are_got_by_id(animals, documents):
    found = animals.get(["bee", "nobody", "whale", "\ud800"])
    assert {id_: one.to_dict() for id_, one in found.items()} == {
        one["id"]: one for one in documents if one["id"] in ("bee", "whale")
    }
    assert animals.get("cat")["cat"].text == "Cats purr when they are content."
    assert ("bee" in animals, "nobody" in animals, 7 in animals) == (True, False, False)
    assert len(animals) == 4
    assert animals  # an empty one is true as well


def test_documents_are_counted_and_iterated_by_filter(animals):
    assert (animals.count(), animals.count("legs = 4"), animals.count("tame = true and legs = 0")) == (
        4,
        2,
        0,
    )
    assert [one.id for one in animals] == ["bee", "cat", "dog", "whale"]
    assert [one.id for one in animals.documents("legs > 0", batch=1)] == ["bee", "cat", "dog"]
    with pytest.raises(FilterError):
        animals.count("legs >")
    with pytest.raises(BadInput, match="batch = 0"):
        animals.documents(batch=0)


def test_metadata_is_updated_without_embedding(animals, ids, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("something was embedded")

    before = {r.id: r.parts["semantic"] for r in animals.search("honey", mode="semantic")}
    with monkeypatch.context() as patch:
        patch.setattr(type(animals.encoder), "encode_document", refuse)
        assert animals.update_metadata({"bee": {"legs": 6, "sweet": True}, "nobody": {}}) == ["bee"]
        report = animals.add([{**animals.get("cat")["cat"].to_dict(), "metadata": {"legs": 3}}])
        assert (report.updated, report.unchanged, report.chunks) == (1, 0, 0)
    assert ids(animals.search("honey", filter="sweet = true")) == ["bee"]
    assert ids(animals.search("purr", filter="legs = 3", mode="keyword")) == ["cat"]
    assert {r.id: r.parts["semantic"] for r in animals.search("honey", mode="semantic")} == before
    assert animals.verify().clean
    with pytest.raises(BadInput, match="metadata"):
        animals.update_metadata({"bee": {"legs": object()}, "cat": {}})
    assert animals.get("cat")["cat"].metadata == {"legs": 3}


def test_what_matches_a_filter_is_deleted(animals):
    assert sorted(animals.delete(filter="legs = 4")) == ["cat", "dog"]
    assert [one.id for one in animals] == ["bee", "whale"]
    assert animals.verify().clean
    for arguments in ({}, {"ids": ["bee"], "filter": "legs = 6"}):
        with pytest.raises(BadInput, match="ids or filter="):
            animals.delete(**arguments)
    for empty in ("", "  "):
        with pytest.raises((BadInput, FilterError)):
            animals.delete(filter=empty)
    assert len(animals) == 2


def test_vectors_of_ones_own(home):
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(300, 16)).astype(np.float32)
    query = rng.normal(size=16)
    with Collection.create("own", dimension=16, precision="float32", home=home) as own:
        own.add(({"id": str(i), "text": f"document {i}"} for i in range(300)), vectors=vectors)
        cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
        expected = np.argsort(-cosines)[:10]
        found = own.search(vector=query, mode="semantic")
        assert [r.id for r in found] == [str(i) for i in expected]
        assert [r.score for r in found] == pytest.approx(cosines[expected], abs=1e-5)
        assert own.search("document 7", mode="keyword").results[0].id == "7"
        own.add([{"id": "7", "text": "document 7"}], vectors=[-vectors[7]])  # the same text, another vector
        assert own.search(vector=vectors[7], mode="semantic").results[0].id != "7"
        with pytest.raises(BadInput, match="without a model"):
            own.search("a question", mode="semantic")
        with pytest.raises(BadInput, match="without a model"):
            own.add([{"id": "x", "text": "x"}])
        with pytest.raises(BadInput, match=r"shape \[1, 3\], expected \[1, 16\]"):
            own.add([{"id": "x", "text": "x"}], vectors=[[1, 2, 3]])
        with pytest.raises(BadInput, match="NaN"):
            own.add([{"id": "x", "text": "x"}], vectors=[[np.nan] * 16])
        assert len(own) == 300
        assert own.reindex(precision="int8").work == "convert"
        assert [r.id for r in own.search(vector=query, mode="semantic", k=5)] == [
            str(i) for i in expected[:5]
        ]
        with pytest.raises(BadInput, match="no model"):
            own.reindex(precision="float32")
        assert own.verify().clean
    with pytest.raises(BadInput, match="not both"):
        Collection.create("both", "some-model", dimension=3, home=home)
    with pytest.raises(BadInput, match="dimension = 0"):
        Collection.create("none", dimension=0, home=home)


class Counting:
    """Embeds by the counts of some letters, and counts texts."""

    def __init__(self):
        self.embedded = 0

    def __call__(self, texts):
        self.embedded += len(texts)
        return np.array([[text.count(letter) for letter in "abcd"] for text in texts]) + 0.01


def test_vectors_of_the_collections_model_are_taken_over(home):
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(list("abcd "), 40)) for _ in range(1500)]
    model = Counting()
    with Collection.create("moved", model, precision="float32", home=home) as moved:
        vectors = model(texts)
        model.embedded = 0
        rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
        report = moved.add(rows, vectors=vectors * 7)  # of any length
        assert (report.added, report.chunks) == (1500, 1500)
        assert 0 < model.embedded < 300  # those that were compared, and fixed texts that set the scale
        query = "abba cd"
        wanted = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        asked = model([query])[0] / np.linalg.norm(model([query])[0])
        found = moved.search(query, mode="semantic", k=5)
        expected = np.sort(wanted @ asked)[::-1][:5]
        assert [r.score for r in found] == pytest.approx(expected, abs=1e-5)
        with pytest.raises(BadInput, match=r"not those of this collection's model.*like them by"):
            moved.add([{"id": "x", "text": "aaaa"}], vectors=[[0, 0, 1, 1]])
        assert moved.verify().clean and len(moved) == 1500


def test_a_collection_with_a_model_takes_no_vectors_of_others(animals):
    with pytest.raises(BadInput, match="dimension="):
        animals.add([{"id": "x", "text": "x"}], vectors=np.ones((1, 256)))
    with pytest.raises(BadInput, match="shape"):
        animals.add([{"id": "x", "text": "x"}], vectors=np.ones((1, 3)))
    assert "x" not in animals


def test_any_function_is_an_encoder(home):
    def by_letters(texts):
        return np.array([[text.count(letter) for letter in "abc"] for text in texts]) + 0.01

    with Collection.create("letters", by_letters, home=home) as letters:
        letters.add({"id": text, "text": text} for text in ("aaaa", "bbbb", "abab"))
        assert [r.id for r in letters.search("bb", mode="semantic")] == ["bbbb", "abab", "aaaa"]
    with Collection.open("letters", home=home, model=by_letters) as again:
        assert again.search("aa", mode="semantic").results[0].id == "aaaa"
    for wrong, said in (
        (lambda texts: 1, "returned the shape"),
        (lambda texts: [[float("nan")]] * len(texts), "NaN"),
        (lambda texts: "abc", "failed on"),
    ):
        with pytest.raises(BadInput, match=said):
            Collection.create("wrong", wrong, home=home)


def test_open_or_create(home):
    with Collection.open_or_create("c", home=home, precision="binary") as made:
        made.add([{"id": "1", "text": "one"}])
    with Collection.open_or_create("c", home=home, precision="float32") as found:
        assert (len(found), found.info().precision) == (1, "binary")


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_collection_is_not_copied_by_halves(animals, take):
    with pytest.raises(TypeError, match="open it"):
        take(animals)


def test_a_deleted_crowd_leaves_no_room_taken(home):
    texts = {f"{i:05}": f"document {i} " + "some words about nothing in particular " * 6 for i in range(3000)}
    with Collection.create("crowd", home=home) as crowd, Collection.create("fresh", home=home) as fresh:
        crowd.add({"id": id_, "text": text} for id_, text in texts.items())
        crowd.delete([id_ for id_ in texts if not id_.endswith("7")])
        crowd.compact()
        fresh.add({"id": id_, "text": text} for id_, text in texts.items() if id_.endswith("7"))
        fresh.compact()
        used = [one.info().catalog_bytes + one.info().view_bytes for one in (crowd, fresh)]
        assert used[0] <= 1.5 * used[1]
        assert crowd.verify().clean
        assert [r.id for r in crowd.search("document 17", 5)] == [
            r.id for r in fresh.search("document 17", 5)
        ]
