"""Random adds, updates, deletes, publishes, openings and damage: the answers are those of brute force."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from indexing import Collection
from indexing.columns import snapshot as column_snapshot
from indexing.inverted import snapshot as inverted_snapshot
from indexing.milvus.client import connect
from indexing.milvus.schema import MARKER_KEY
from indexing.names import FILE_ENGINES
from indexing.vectors import engine_class, snapshot
from indexing.views import chunk_view, columns, lexical, milvus, sparse, vector_table
from tests.toy_terms import ToyTerms

WORDS = [f"word{i}" for i in range(30)]
DIMENSION = 16
TERMS = ToyTerms()


class Toy:
    """Vectors from the words of a text: of one token each, the same everywhere."""

    dimension = DIMENSION

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self._of = {word: rng.normal(size=DIMENSION) for word in WORDS}

    def encode(self, texts):
        rows = [
            sum((self._of[w] for w in t.split() if w in self._of), np.full(DIMENSION, 1e-3)) for t in texts
        ]
        return np.asarray(rows, np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few rows already make tails too long, segments too large and graphs worth their while."""
    monkeypatch.setattr(chunk_view, "TAIL_ROWS", 25)
    monkeypatch.setattr(chunk_view, "READ_ROWS", 7)
    monkeypatch.setattr(lexical, "TAIL_DOCUMENTS", 25)
    monkeypatch.setattr(columns, "TAIL_DOCUMENTS", 25)
    for module in (chunk_view, lexical, columns):
        monkeypatch.setattr(module, "FEW_CHANGES", 5)
    monkeypatch.setattr(snapshot, "SEGMENT_BYTES", 60 * DIMENSION)
    for module in (inverted_snapshot, sparse):
        monkeypatch.setattr(module, "SEGMENT_ROWS", 60)
    monkeypatch.setattr(sparse.SparseView, "segment_rows", 60)
    monkeypatch.setattr(column_snapshot, "SEGMENT_DOCUMENTS", 60)
    monkeypatch.setattr(columns, "SEGMENT_DOCUMENTS", 60)
    monkeypatch.setattr(engine_class("usearch"), "scan_rows", 30)
    for engine in ("pgvector", "milvus"):
        monkeypatch.setattr(engine_class(engine), "scan_rows", 30)
    for module in (vector_table, milvus):
        monkeypatch.setattr(module, "READ_ROWS", 7)


@pytest.fixture
def where(request, tmp_path, monkeypatch):
    """A home with an engine, and a database of a server, or none."""
    on_server, engine = request.param
    if engine == "milvus":
        monkeypatch.setenv("STLIB_MILVUS", str(tmp_path / "milvus.db"))
    return {"home": tmp_path, "db": request.getfixturevalue("postgres_url") if on_server else None}, engine


def pytest_generate_tests(metafunc):
    """Files of this machine with more seeds than a server, which takes longer."""
    if "where" in metafunc.fixturenames:
        places = [(False, engine, seed) for engine in FILE_ENGINES for seed in range(3)]
        places += [(True, "faiss", 2), (True, "pgvector", 2), (False, "milvus", 2)]
        given = [pytest.param((s, e), seed) for s, e, seed in places]
        longer = [(True, "milvus", 3), (False, "milvus", 4), (False, "milvus", 5)]
        given += [pytest.param((s, e), seed, marks=pytest.mark.long) for s, e, seed in longer]
        metafunc.parametrize("where, seed", given, indirect=["where"])


def test_whatever_happens_the_answers_are_right(tmp_path, where, seed):
    place, engine = where
    rng = np.random.default_rng(seed)
    toy, terms, now = Toy(), ToyTerms(), {}
    collection = Collection.create("c", **place, dimension=DIMENSION, engine=engine, sparse=terms)
    for step in range(30):
        action = rng.choice(["add", "add", "add", "delete", "refresh", "reopen", "damage"])
        if action == "add":
            documents = [some_document(rng) for _ in range(rng.choice([1, 2, 40]))]
            documents = list({d["id"]: d for d in documents}.values())
            collection.add(documents, vectors=toy.encode([d["text"] for d in documents]))
            now.update({d["id"]: d for d in documents})
        elif action == "delete" and now:
            doomed = rng.choice(sorted(now), min(len(now), int(rng.integers(1, 12))), replace=False).tolist()
            assert sorted(collection.delete(doomed)) == sorted(doomed)
            for id_ in doomed:
                del now[id_]
        elif action == "refresh":
            assert collection.refresh()
        elif action == "reopen":
            collection.close()
            collection = Collection.open("c", **place, sparse=terms)
        elif action == "damage" and step % 2:
            collection.close()
            damage(tmp_path, rng)
            if engine == "milvus":
                lose(rng)
            collection = Collection.open("c", **place, sparse=terms)
        compare(collection, now, toy, rng)
    report = collection.verify()
    assert report.errors == []
    collection.close()


def some_document(rng):
    text = " ".join(rng.choice(WORDS, rng.integers(1, 8)))
    number = int(rng.integers(0, 5))
    return {"id": f"d{rng.integers(0, 150)}", "text": text, "metadata": {"n": number} if number else {}}


def damage(home, rng):
    files = [p for p in sorted(home.rglob("c/views/**/*")) if p.is_file()]
    if files:
        path = files[rng.integers(0, len(files))]
        data = bytearray(path.read_bytes())
        if data and rng.random() < 0.5:
            data[int(rng.integers(0, len(data)))] ^= 1
            path.unlink()
            path.write_bytes(data)
        else:
            os.truncate(path, len(data) // 2)


def lose(rng):
    """All rows in Milvus, or how far they have followed."""
    for name in connect().names("stlib_"):
        if rng.random() < 0.5:
            connect().drop(name)
        else:
            connect().delete(name, np.array([MARKER_KEY]))


def compare(collection, now, toy, rng):
    """Semantic answers and those by terms by their scores, keyword ones by the documents with a word, also
    with a filter.
    """
    word, number = str(rng.choice(WORDS)), int(rng.integers(0, 5))
    query = toy.encode([" ".join(rng.choice(WORDS, 3))])[0]
    query = query / np.linalg.norm(query)
    for filter, kept in (
        (None, now),
        (f"n = {number}", {i: d for i, d in now.items() if d["metadata"].get("n", 0) == number and number}),
        ("n = null", {i: d for i, d in now.items() if not d["metadata"]}),
    ):
        found = collection.search(vector=query, k=8, mode="semantic", filter=filter).results
        scores = {id_: float(unit(toy.encode([d["text"]])[0]) @ query) for id_, d in kept.items()}
        best = sorted(scores.values(), reverse=True)[:8]
        assert [r.score for r in found] == pytest.approx(best, abs=0.05)
        assert {r.id for r in found} <= set(kept)
        found = collection.search(f"{word} word1", k=8, mode="sparse", filter=filter).results
        scores = {id_: TERMS.score(f"{word} word1", d["text"]) for id_, d in kept.items()}
        best = sorted((score for score in scores.values() if score > 0), reverse=True)[:8]
        assert [r.score for r in found] == pytest.approx(best, rel=0.01)
        assert {r.id for r in found} <= set(kept)
        found = collection.search(word, k=200, mode="keyword", filter=filter).results
        assert {r.id for r in found} == {id_ for id_, d in kept.items() if word in d["text"].split()}
    facets = collection.facets()
    numbers = [d["metadata"]["n"] for d in now.values() if d["metadata"]]
    expected = sorted(((n, numbers.count(n)) for n in set(numbers)), key=lambda item: (-item[1], item[0]))
    assert (facets["n"].values if "n" in facets else []) == expected, json.dumps(expected)


def unit(vector):
    return vector / np.linalg.norm(vector)
