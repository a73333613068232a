"""indexing/MOVING.md: what it says brings documents and vectors over, and embeds nothing again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexing import Collection
from stlib.runtime import Encoder
from tests.blocks import blocks, run

PAGE = Path(__file__).resolve().parents[2] / "indexing" / "MOVING.md"
MODEL = "stlib-static-en"
TEXTS = [
    f"{thing} number {i} {doing}"
    for i in range(40)
    for thing, doing in (
        ("Bread", "rises in the oven"),
        ("A ship", "sails over the sea"),
        ("Iron", "rusts in the rain"),
    )
]


@pytest.fixture(autouse=True)
def at_home(home, tmp_path, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def vectors():
    return np.asarray(Encoder.load(MODEL).encode_document(TEXTS), np.float32)


@pytest.fixture
def embedded(monkeypatch):
    """How many texts are embedded."""
    counted = []
    before = Encoder.encode_document

    def encode_document(self, texts, *args, **options):
        counted.append(len(texts))
        return before(self, texts, *args, **options)

    monkeypatch.setattr(Encoder, "encode_document", encode_document)
    return lambda: sum(counted)


def test_the_shortest_way():
    run(blocks(PAGE, "Moving over"), "short")
    with Collection.open("notes") as notes:
        assert [one.metadata for one in notes] == [{"topic": "kitchen"}]


def test_a_script(capsys):
    run(blocks(PAGE, "A Sentence Transformers script"), "script")
    assert capsys.readouterr().out.splitlines() == ["Dough rises because yeast makes gas."] * 2


def test_qdrant(vectors, embedded, capsys):
    from qdrant_client import QdrantClient
    from qdrant_client.models import Distance, PointStruct, VectorParams

    client = QdrantClient(path="qdrant-folder")
    client.create_collection("notes", VectorParams(size=vectors.shape[1], distance=Distance.COSINE))
    client.upsert(
        "notes",
        [
            PointStruct(id=i, vector=vector.tolist(), payload={"text": text, "number": i})
            for i, (text, vector) in enumerate(zip(TEXTS, vectors, strict=True))
        ],
    )
    query = vectors[7]
    there = client.query_points("notes", query.tolist(), limit=5).points
    client.close()

    names = run(blocks(PAGE, "Qdrant"), "qdrant")
    names["client"].close()
    assert embedded() < 300 + 16  # texts of the scale, and those that are compared
    check(query, [str(point.id) for point in there], [point.score for point in there])
    run(blocks(PAGE, "Did everything come over?"), "check")
    assert capsys.readouterr().out == f"{len(TEXTS)} documents\n"


def check(query, ids, scores):
    """Whether the collection `notes` answers as the other database did, and knows the metadata."""
    with Collection.open("notes") as notes:
        found = notes.search(vector=query, mode="semantic", k=5)
        assert [r.id for r in found] == ids
        assert [r.score for r in found] == pytest.approx(scores, abs=0.005)
        assert notes.get(["7"])["7"].metadata == {"number": 7}
        assert notes.count({"number": {"$gte": 100}}) == len(TEXTS) - 100
        best = notes.search("ships on the ocean", k=1, mode="semantic")[0]  # a question in words
        assert "sails over the sea" in best.text
