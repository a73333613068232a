"""A collection with three legs: what holds for the semantic and the keyword leg holds for weighted terms
too.
"""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text

from indexing import Collection
from indexing.beside.sparse_codes import decode_sparse, encode_sparse
from indexing.catalog.database import reading
from indexing.errors import BadInput, ModelMismatch, UntrustedModel
from tests.toy_terms import ToyTerms

WORDS = [f"word{i}" for i in range(300)]
K = 12


@pytest.fixture(scope="module")
def documents():
    random = np.random.default_rng(3)
    return [
        {
            "id": f"d{i}",
            "text": " ".join(random.choice(WORDS, random.integers(3, 40))),
            "metadata": {"n": int(random.integers(0, 6))},
        }
        for i in range(700)
    ]


@pytest.fixture(scope="module")
def collection(documents, tmp_path_factory):
    with Collection.create("c", home=tmp_path_factory.mktemp("home"), sparse=ToyTerms()) as made:
        made.add(documents[:650])
        made.refresh()
        made.add(documents[650:])  # the tail
        yield made


def quantised(question, document):
    toy = ToyTerms()
    codes = decode_sparse(encode_sparse(toy.encode_document([document["text"]]), 1000), 1000)
    asked = toy.encode_query([question])
    weights = dict(zip(codes.terms.tolist(), (codes.weights * codes.steps[0]).tolist(), strict=True))
    pairs = zip(asked.terms.tolist(), asked.weights.tolist(), strict=True)
    return np.float32(sum(weight * weights.get(term, 0.0) for term, weight in pairs))


def truth(question, documents, k=K):
    scored = [(quantised(question, one), at, one["id"]) for at, one in enumerate(documents)]
    scored = [one for one in scored if one[0] > 0]
    return sorted(scored, key=lambda one: (-one[0], one[1]))[:k]


QUESTIONS = ["word1 word2", "word7 word7 word8 word9 word250", "word299", "nothing that anybody wrote"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_exact(collection, documents, question):
    found = collection.search(question, k=K, mode="sparse").results
    expected = truth(question, documents)
    assert [one.id for one in found] == [id_ for _, _, id_ in expected]
    np.testing.assert_allclose([one.score for one in found], [score for score, _, _ in expected], rtol=1e-6)


@pytest.mark.parametrize("question", QUESTIONS[:3])
def test_a_filter_leaves_the_best_of_those_it_allows(collection, documents, question):
    found = collection.search(question, k=K, mode="sparse", filter="n = 3").results
    expected = truth(question, [one for one in documents if one["metadata"]["n"] == 3])
    assert [one.id for one in found] == [id_ for _, _, id_ in expected]


def test_pages_are_the_long_list(collection):
    whole = collection.search(QUESTIONS[1], k=60, mode="sparse").results
    pages = [collection.search(QUESTIONS[1], k=7, offset=at, mode="sparse").results for at in range(0, 60, 7)]
    ids = [one.id for page in pages for one in page]
    assert ids[: len(whole)] == [one.id for one in whole]


def test_hybrid_has_a_share_of_each_leg(collection):
    best = collection.search("word1 word2", k=5).results
    for one in best:
        total = sum(value for name, value in one.parts.items() if name.endswith("_share"))
        assert one.score == pytest.approx(total, rel=1e-5)
        assert {"semantic_share", "keyword_share", "sparse_share"} <= set(one.parts)
    assert collection.modes == ("hybrid", "semantic", "keyword", "sparse")


def test_a_leg_of_weight_0_changes_nothing(collection):
    serving = collection.reindex(ranking={"weights": {"sparse": 0.0}}, promote=False).serving
    asked = {str(n): " ".join(WORDS[n : n + 3]) for n in range(0, 30, 3)}
    without = collection.rankings(asked, serving=serving.id, depth=5)
    probe_order = collection.rankings(asked, depth=5)
    assert without != probe_order  # it does something where it counts
    with collection.probe(serving.id) as probe:
        for id_, question in asked.items():
            trace = probe.trace(question)
            rest = trace.shares[[trace.legs.index(leg) for leg in ("semantic", "keyword")]].sum(axis=0)
            order = np.argsort(-rest.astype(np.float32), kind="stable")[:5]
            assert without[id_] == [trace.ids[at] for at in order]


def test_deleted_and_changed_documents_are_not_found(documents, tmp_path):
    with Collection.create("c", home=tmp_path, sparse=ToyTerms()) as made:
        made.add(documents)
        made.refresh()
        made.delete([one["id"] for one in documents[::3]])
        left = [one for at, one in enumerate(documents) if at % 3]
        changed = [{**one, "text": "word1 word2 word3"} for one in left[:5]]
        made.add(changed)
        now = left[5:] + changed  # in the order of the log
        for question in QUESTIONS:
            found = made.search(question, k=K, mode="sparse").results
            assert [one.id for one in found] == [id_ for _, _, id_ in truth(question, now)]
        before = made.search(QUESTIONS[1], k=K, mode="sparse")
        made.compact()
        after = made.search(QUESTIONS[1], k=K, mode="sparse")
        assert [(r.id, r.score) for r in before.results] == [(r.id, r.score) for r in after.results]
        assert made.verify().clean


def test_without_its_model_the_other_legs_answer(documents, tmp_path):
    """As in a home that was copied to another machine: nothing is opened, and the answer says so."""
    with Collection.create("c", home=tmp_path, sparse=ToyTerms()) as made:
        made.add(documents[:50])
        plain = made.reindex(ranking={"weights": {"sparse": 0.0}}, promote=False).serving.id
        expected = [r.id for r in made.search("word1 word2", 5, serving=plain).results]
    with Collection.open("c", home=tmp_path) as made:
        answer = made.search("word1 word2", 5)
        assert [r.id for r in answer.results] == expected
        assert any("searched without the sparse leg" in note and "--sparse" in note for note in answer.notes)
        with pytest.raises(UntrustedModel, match="--sparse"):
            made.search("word1", mode="sparse")
        with pytest.raises(UntrustedModel, match="--sparse"):
            made.evaluate({"q": "word1"}, {"q": {documents[0]["id"]: 1}})
        with pytest.raises(UntrustedModel, match="--sparse"):
            made.add([{"id": "new", "text": "word1"}])
    with Collection.open("c", home=tmp_path, sparse=ToyTerms()) as made:
        assert made.search("word1 word2", 5).notes == []
    with pytest.raises(ModelMismatch, match="--sparse is toy-terms"):
        Collection.open("c", home=tmp_path, sparse=ToyTerms(seed=5))


def test_fewer_than_k_and_none(tmp_path):
    with Collection.create("c", home=tmp_path, sparse=ToyTerms()) as made:
        assert made.search("word1", k=3, mode="sparse").results == []
        made.add([{"id": "a", "text": "word1"}, {"id": "b", "text": "word2"}])
        assert [one.id for one in made.search("word1", k=3, mode="sparse").results] == ["a"]


def test_a_leg_is_added_and_given_up_without_embedding(documents, tmp_path):
    with Collection.create("c", home=tmp_path) as made:
        made.add(documents[:100])
        plain = [(r.id, r.score) for r in made.search("word1 word2", k=9, mode="semantic").results]
        with pytest.raises(BadInput, match=r"mode 'sparse': this collection has no weighted terms"):
            made.search("word1", mode="sparse")
        report = made.reindex(sparse=ToyTerms())
        assert (report.work, report.documents) == ("convert", 100)
        assert [(r.id, r.score) for r in made.search("word1 word2", k=9, mode="semantic").results] == plain
        found = made.search("word1 word2", k=K, mode="sparse").results
        assert [one.id for one in found] == [id_ for _, _, id_ in truth("word1 word2", documents[:100])]
        assert made.reindex(sparse=ToyTerms()).serving.id == report.serving.id  # it is so already
        assert made.reindex(precision="binary").work == "convert"
        again = made.search("word1 word2", k=K, mode="sparse").results
        assert [(r.id, r.score) for r in again] == [(r.id, r.score) for r in found]
        made.add(documents[100:110])  # the older generations follow, with their own legs
        assert made.rollback().serving.id == report.serving.id
        expected = [id_ for _, _, id_ in truth("word1 word2", documents[:110])]
        assert [one.id for one in made.search("word1 word2", k=K, mode="sparse").results] == expected
        made.reindex(sparse=None)
        assert made.modes == ("hybrid", "semantic", "keyword")
        assert made.verify().clean


def test_nothing_is_left_of_what_is_dropped(documents, tmp_path):
    with Collection.create("c", home=tmp_path, sparse=ToyTerms()) as made:
        made.add(documents[:50])
        made.refresh()
        made.reindex(sparse=None)
        rows = "SELECT count(*) FROM sparse_code"
        with reading(made._session.database) as connection:
            assert connection.scalar(text(rows)) == 50
        assert list((tmp_path / "collections/c/views/sparse").iterdir())
        made.drop_generation(1)
        with reading(made._session.database) as connection:
            assert connection.scalar(text(rows)) == 0
        assert list((tmp_path / "collections/c/views/sparse").iterdir()) == []
        assert made.verify().clean
