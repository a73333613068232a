"""indexing/MOVING.md with real folders of Chroma and LanceDB; `tests/unit/test_moving.py` has the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexing import Collection
from stlib.runtime import Encoder
from tests.blocks import blocks, run

PAGE = Path(__file__).resolve().parents[2] / "indexing" / "MOVING.md"
TEXTS = [f"{words} ({i})" for i in range(400) for words in ("Bread rises", "A ship sails", "Iron rusts")]


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANONYMIZED_TELEMETRY", "False")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def vectors():
    return np.asarray(Encoder.load("stlib-static-en").encode_document(TEXTS), np.float32)


def test_chroma(vectors):
    import chromadb

    client = chromadb.PersistentClient("chroma-folder")
    source = client.create_collection("notes", metadata={"hnsw:space": "cosine"})
    ids = [str(i) for i in range(len(TEXTS))]
    source.add(ids, vectors, [{"number": i} for i in range(len(TEXTS))], TEXTS)
    there = source.query(vectors[7], n_results=3)
    run(blocks(PAGE, "Chroma"), "chroma")
    check(vectors[7], there["ids"][0], [1 - distance for distance in there["distances"][0]])


def test_lancedb(vectors):
    import lancedb

    rows = [
        {"id": str(i), "text": text, "vector": vector, "number": i}
        for i, (text, vector) in enumerate(zip(TEXTS, vectors, strict=True))
    ]
    table = lancedb.connect("lancedb-folder").create_table("notes", rows)
    there = table.search(vectors[7]).distance_type("cosine").limit(3).to_list()
    run(blocks(PAGE, "LanceDB"), "lancedb")
    check(vectors[7], [row["id"] for row in there], [1 - row["_distance"] for row in there])


def check(query, ids, scores):
    """Whether the collection `notes` answers as the other database did, and knows the metadata."""
    with Collection.open("notes") as notes:
        found = notes.search(vector=query, mode="semantic", k=3)
        assert [r.score for r in found] == pytest.approx(scores, abs=0.005)
        assert found[0].id == ids[0] == "7"
        assert len(notes) == len(TEXTS)
        assert notes.get(["7"])["7"].text == TEXTS[7]
        assert notes.get(["7"])["7"].metadata == {"number": 7}
        assert "ship" in notes.search("boats", k=1, mode="semantic")[0].text
