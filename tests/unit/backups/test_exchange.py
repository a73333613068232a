"""Parquet out and in: documents, passages and vectors, the same codes again, nothing embedded for it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from app.facade.exchange import export_parquet, import_parquet
from app.settings import Location
from indexing import Collection
from indexing.catalog.reads import chunks_of_documents
from indexing.embed import embed
from indexing.errors import BadInput, DiskFull, UntrustedModel

LONG = "Bees make honey. " * 200
DOCUMENTS = [
    {"id": "bee", "title": "Bees 🐝", "text": LONG, "metadata": {"legs": 6, "tags": ["a", "b"]}},
    {"id": "cat", "text": "Cats purr when they are content.", "metadata": {"legs": 4}},
    {"id": "ümlaut", "text": "Köter bellen.\u00a0Immer."},
]


@pytest.fixture
def exported(me, location, tmp_path):
    with Collection.create("animals", **location.arguments()) as collection:
        collection.add(DOCUMENTS)
    path = tmp_path / "animals.parquet"
    assert export_parquet(me, location, "animals", path, vectors=True) == 3
    return path


@pytest.fixture
def no_embedding(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was embedded")

    monkeypatch.setattr("indexing.generations.makers.embed", refuse)


def stored(location, name):
    """What the catalog has of each document: text, metadata, spans and codes."""
    with Collection.open(name, **location.arguments()) as collection:
        assert collection.verify().clean
        documents = {one.key: one.to_dict() for one in collection.documents()}
        live = collection._session.live()
        with collection._session.looking() as (connection, _):
            chunks = chunks_of_documents(connection, live.generation.id, documents)
    return {documents[key]["id"]: (documents[key], chunks[key]) for key in documents}


def test_what_comes_back_is_what_went_out(me, location, exported, no_embedding):
    imported = import_parquet(me, location, "again", exported)
    assert (imported.created, imported.report.added, imported.report.notes) == (True, 3, [])
    assert stored(location, "again") == stored(location, "animals")
    assert len(stored(location, "again")["bee"][1]) > 1
    again = import_parquet(me, location, "again", exported)
    assert (again.created, again.report.added, again.report.unchanged) == (False, 0, 3)


def test_others_read_it_without_this_package(location, exported):
    table = pq.read_table(exported)
    kind = table.schema.field("passages").type.value_type
    assert table.schema.names == ["id", "title", "text", "metadata", "passages"]
    assert kind.field("vector").type == pa.list_(pa.float32(), 256)
    about = json.loads(table.schema.metadata[b"stlib"])
    assert (about["format"], about["version"], about["model"]) == ("stlib documents", 1, "stlib-static-en")
    frame = table.to_pandas().set_index("id")
    assert json.loads(frame.loc["bee", "metadata"]) == {"legs": 6, "tags": ["a", "b"]}
    with Collection.open("animals", **location.arguments()) as collection:
        for document in collection.documents(passages=True):
            found = frame.loc[document.id, "passages"]
            assert [(one["start"], one["end"]) for one in found] == [
                (one.start, one.end) for one in document.passages
            ]
            np.testing.assert_array_equal(
                np.stack([one["vector"] for one in found]),
                np.stack([one.vector for one in document.passages]),
            )


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_codes_of_every_precision_come_back(me, home, tmp_path, precision):
    location = Location(home)
    vectors = np.random.default_rng(0).normal(size=(40, 24)).astype(np.float32)
    documents = [{"id": str(n), "text": f"number {n}"} for n in range(40)]
    with Collection.create("own", dimension=24, precision=precision, **location.arguments()) as collection:
        collection.add(documents, vectors=vectors)
    export_parquet(me, location, "own", tmp_path / "own.parquet", vectors=True)
    import_parquet(me, location, "again", tmp_path / "own.parquet")
    assert stored(location, "again") == stored(location, "own")
    with Collection.open("again", **location.arguments()) as again:
        assert again.search(vector=vectors[7], k=1)[0].id == "7"


def test_a_file_without_vectors_is_embedded(me, location, exported, tmp_path):
    path = tmp_path / "texts.parquet"
    assert export_parquet(me, location, "animals", path, filter="legs = 4") == 1
    assert pq.read_schema(path).names == ["id", "title", "text", "metadata"]
    import_parquet(me, location, "cats", path)
    assert stored(location, "cats")["cat"] == stored(location, "animals")["cat"]


def test_vectors_of_another_model_or_cut_are_not_used_and_that_is_said(me, location, exported, monkeypatch):
    made = []
    monkeypatch.setattr(
        "indexing.generations.makers.embed", lambda *given: made.append(len(given[0])) or embed(*given)
    )
    for name, settings, why in (
        ("short", {"chunk": {"max_tokens": 64, "overlap": 8}}, "cut in another way"),
        ("own model", {"model": lambda texts: [[1.0, len(text)] for text in texts]}, "of another model"),
        ("fine", {"precision": "float32"}, "stored in a coarser way"),
    ):
        from indexing.documents import ChunkSettings

        if "chunk" in settings:
            settings["chunk"] = ChunkSettings(**settings["chunk"])
        name = name.replace(" ", "-")
        with Collection.create(name, **settings, **location.arguments()) as collection:
            if name == "fine":
                collection.add([{"id": "first", "text": "It fixes the ranges."}])
            report = collection.import_parquet(exported)
        assert report.added == 3 and len(report.notes) == 1 and why in report.notes[0]
        assert made.pop() == 3


def test_a_model_that_was_never_used_here_is_not_opened(me, location, exported, tmp_path):
    table = pq.read_table(exported)
    about = {**json.loads(table.schema.metadata[b"stlib"]), "model": "/evil", "fingerprint": "ab" * 32}
    forged = tmp_path / "forged.parquet"
    pq.write_table(table.replace_schema_metadata({b"stlib": json.dumps(about)}), forged)
    with pytest.raises(UntrustedModel, match="was never used on this machine"):
        import_parquet(me, location, "evil", forged)
    assert Collection.list(**location.arguments()) == ["animals"]


def change(exported, tmp_path, at, **values):
    """The file with other values in one row."""
    table = pq.read_table(exported)
    rows = table.to_pylist()
    rows[at] = {**rows[at], **values}
    path = tmp_path / "changed.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return path


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"text": None}, "text"),
        ({"metadata": "[1]"}, "its metadata is no JSON object"),
        ({"metadata": "{"}, "its metadata is no JSON object"),
        ({"passages": []}, "it has no passages, or one beyond its text"),
        ({"passages": [{"start": 0, "end": 99, "vector": [1.0] + [0.0] * 255}]}, "one beyond its text"),
        ({"passages": [{"start": -1, "end": 3, "vector": [1.0] + [0.0] * 255}]}, "one beyond its text"),
        ({"passages": [{"start": 0, "end": 3, "vector": [9.0] * 256}]}, "far from length 1"),
        ({"passages": [{"start": 0, "end": 3, "vector": [float("nan")] * 256}]}, "far from length 1"),
    ],
)
def test_a_row_that_cannot_be_is_named(me, location, exported, tmp_path, values, why):
    path = change(exported, tmp_path, 1, **values)
    with pytest.raises(BadInput, match=why):
        import_parquet(me, location, "again", path)
    if "length" not in why:
        report = import_parquet(me, location, "again", path, on_error="skip").report
        assert (report.added + report.unchanged, report.skipped) == (2, 1)
        assert report.skips[0].line == 2


@pytest.mark.parametrize(
    "about",
    [
        {"format": "other"},
        {"version": 2},
        {"dimension": 255},
        {"dimension": -1},
        {"codec": "{}"},
        {"precision": "int7"},
        {"chunking": {"max_tokens": -4}},
        {"chunking": {"evil": 1}},
        {"fingerprint": None},
    ],
)
def test_what_a_file_says_of_its_vectors_is_checked(me, location, exported, tmp_path, about):
    table = pq.read_table(exported)
    said = {**json.loads(table.schema.metadata[b"stlib"]), **about}
    path = tmp_path / "forged.parquet"
    pq.write_table(table.replace_schema_metadata({b"stlib": json.dumps(said)}), path)
    with pytest.raises(BadInput, match=r"forged\.parquet"):
        import_parquet(me, location, "again", path)
    assert Collection.list(**location.arguments()) == ["animals"]


def test_damage_is_bad_input_and_loses_nothing(me, location, exported, tmp_path):
    data = exported.read_bytes()
    generator = np.random.default_rng(0)
    for at in generator.integers(0, len(data), 25).tolist():
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(generator.integers(8))
        path = tmp_path / "damaged.parquet"
        path.write_bytes(damaged)
        try:
            import_parquet(me, location, "animals", path, on_error="skip")
        except BadInput:
            continue
    with Collection.open("animals", **location.arguments()) as collection:
        assert not collection.verify().errors


def test_an_export_is_a_new_file_or_none(me, location, exported, monkeypatch, tmp_path):
    with pytest.raises(BadInput, match=r"animals\.parquet exists: give the name of a new file"):
        export_parquet(me, location, "animals", exported)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFull):
        export_parquet(me, location, "animals", tmp_path / "more.parquet")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["animals.parquet"]


def test_the_command_line(stlib, location, exported, tmp_path):
    code, out, err = stlib("export", "animals", "--vectors", "-o", tmp_path / "x.parquet")
    assert (code, err) == (0, "") and out.startswith(f"{tmp_path}/x.parquet: 3 documents, ")
    code, out, err = stlib("import", "again", tmp_path / "x.parquet")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("again: 3 documents read, 3 added, 0 updated, 0 unchanged, ")
    code, out, err = stlib("import", "again", change(exported, tmp_path, 0, metadata="no"), "--json")
    assert code == 1 and json.loads(out)["skipped"] == 1
    assert stlib("import", "again", tmp_path / "none.parquet")[0] == 2
