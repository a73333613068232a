"""A backup that is restored answers as the original did."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing

import pytest

from app.facade.backups import back_up, restore
from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import feedback_status
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput, CollectionExists, StorageError, UnknownCollection


def test_what_is_restored_is_the_original(me, location, animals, backup, facts, tmp_path):
    before = facts(location)
    other = Location(tmp_path / "other")
    report = restore(me, other, backup)
    assert report.documents == {"animals": 5} and report.replaced == []
    assert facts(other) == before
    with Collection.open("animals", **other.arguments()) as collection:
        assert collection.uuid == animals
        assert collection.rollback().serving.id == 2  # what answered before answers again
    assert [path.name for path in (other.home / "collections").iterdir()] == ["animals"]


def test_after_a_loss_everything_is_as_it_was(me, location, animals, backup, facts):
    before = facts(location)
    shutil.rmtree(location.home)
    restore(me, location, backup)
    assert facts(location) == before


def test_beside_the_original_under_another_name(me, location, animals, backup, facts):
    before = facts(location)
    restore(me, location, backup, as_name="copy")
    again = facts(location, "copy")
    assert {key: again[key] for key in before if key != "tuned"} == {
        key: before[key] for key in before if key != "tuned"
    }
    assert facts(location) == before
    with Collection.open("copy", **location.arguments()) as collection:
        assert collection.uuid != animals
        status = feedback_status(me, location, collection)
    assert (status.impressions, status.sayings) == (2, 3)
    with pytest.raises(CollectionExists, match="'copy' exists here already: restore it under another name"):
        restore(me, location, backup, as_name="copy")


def test_nothing_that_is_there_is_touched_unless_asked(me, location, animals, backup, facts, add_more):
    add_more()
    before = facts(location)
    with pytest.raises(CollectionExists, match="nothing was restored"):
        restore(me, location, backup)
    assert facts(location) == before
    report = restore(me, location, backup, replace=True)
    assert report.replaced == ["animals"]
    with Collection.open("animals", **location.arguments()) as collection:
        assert "new" not in collection and len(collection) == 5
    after = facts(location)
    assert after["said"] == before["said"]  # once each


def test_into_a_database_that_others_are_in(me, location, animals, backup, facts, tmp_path):
    before = facts(location)
    shared = Location(db=f"sqlite:///{tmp_path / 'shared.db'}")
    with Collection.create("first", **shared.arguments()) as first:
        first.add([{"id": "1", "text": "The first one."}])
        first.reindex(precision="float32")
    restore(me, shared, backup)
    after = facts(shared)
    numbers = {key[1] for key in after["answers"]}
    assert min(numbers) == 3  # two servings are those of the other collection
    moved = {(question, serving - 2): answer for (question, serving), answer in after["answers"].items()}
    assert moved == before["answers"]
    for key in ("servings", "documents", "sources", "uploads", "models"):
        assert after[key] == before[key], key
    assert [one["serving"] for one in after["said"][0]] == [one["serving"] + 2 for one in before["said"][0]]
    assert "candidate=5" in after["tuned"][0][0] and "candidate=3" in before["tuned"][0][0]
    restore(me, shared, backup, replace=True)
    assert facts(shared)["documents"] == before["documents"]
    with Collection.open("first", **shared.arguments()) as first:
        assert first.verify().clean and [one.id for one in first.search("first")] == ["1"]


def test_of_a_database_with_others_only_one_collection_is_taken(
    me, location, animals, backup, facts, tmp_path
):
    before = facts(location)
    shared = Location(db=f"sqlite:///{tmp_path / 'shared.db'}")
    with Collection.create("secret", **shared.arguments()) as secret:
        secret.add([{"id": "1", "text": "The password is Schwertfisch."}])
    restore(me, shared, backup)
    back_up(me, shared, tmp_path / "shared.tar", ["animals"])
    assert b"Schwertfisch" not in (tmp_path / "shared.tar").read_bytes()
    other = Location(tmp_path / "other")
    restore(me, other, tmp_path / "shared.tar")
    assert facts(other)["documents"] == before["documents"]


def test_all_collections_are_in_one_file_that_tar_lists(me, location, animals, tmp_path):
    with Collection.create("empty", **location.arguments()):
        pass
    report = back_up(me, location, tmp_path / "all.tar")
    assert report.documents == {"animals": 5, "empty": 0}
    with tarfile.open(tmp_path / "all.tar") as archive:
        names = archive.getnames()
        manifest = json.load(archive.extractfile("manifest.json"))
    assert names == [
        "animals/catalog.sqlite",
        "animals/feedback.sqlite",
        "animals/tuning.sqlite",
        "animals/models/000001",
        "animals/uploads/000001",
        "empty/catalog.sqlite",
        "manifest.json",
        "manifest.json.sha256",
    ]
    assert manifest["collections"]["animals"]["uploads"] == {"Übung 1.txt": "animals/uploads/000001"}
    assert (tmp_path / "all.tar").stat().st_mode & 0o077 == 0
    other = Location(tmp_path / "other")
    restore(me, other, tmp_path / "all.tar", "empty", as_name="e")
    assert Collection.list(**other.arguments()) == ["e"]
    with pytest.raises(BadInput, match="holds animals, empty: say which of them to restore as 'x'"):
        restore(me, other, tmp_path / "all.tar", as_name="x")
    with pytest.raises(UnknownCollection, match="holds no collection 'x'; it holds animals, empty"):
        restore(me, other, tmp_path / "all.tar", "x")


def test_a_backup_is_a_new_file(me, location, animals, tmp_path):
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(BadInput, match=r"b\.tar exists: a backup is a new file"):
        back_up(me, location, tmp_path / "b.tar", ["animals"])
    with pytest.raises(UnknownCollection, match="no collection 'dogs'"):
        back_up(me, location, tmp_path / "c.tar", ["animals", "dogs"])
    with pytest.raises(NotAllowed):
        back_up(Caller("eve", rights=frozenset({"search"})), location, tmp_path / "c.tar")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["b.tar"]
    assert (tmp_path / "b.tar").read_text() == "mine"


def test_a_backup_of_an_older_release_is_migrated(me, location, animals, backup, facts, tmp_path, older):
    before = facts(location)
    other = Location(tmp_path / "other")
    restore(me, other, older(backup))
    assert facts(other)["documents"] == before["documents"]


def test_a_backup_of_a_newer_release_is_refused(me, location, backup, tmp_path, forge):
    other = Location(tmp_path / "other")
    for change in ({"version": 2}, {"schema": "9999"}):
        with pytest.raises(BadInput, match=r"was made by a newer release .*: upgrade stlib"):
            restore(me, other, forge(backup, about=change))

    def newer(catalog):
        with closing(sqlite3.connect(catalog)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StorageError, match="has schema 9999, newer than this release knows"):
        restore(me, other, forge(backup, {"animals/catalog.sqlite": newer}))
    assert not (other.home / "collections").exists()


def test_what_was_erased_since_is_named_when_it_comes_back(me, location, animals, backup, stlib):
    with Collection.open("animals", **location.arguments()) as collection:
        collection.erase(["bee", "cat"])
    assert restore(me, location, backup, as_name="twin").back == {"twin": ["bee", "cat"]}
    report = restore(me, location, backup, replace=True)
    assert report.back == {"animals": ["bee", "cat"]} == report.to_dict()["back"]
    with Collection.open("animals", **location.arguments()) as collection:
        collection.erase(["bee", "cat"])
    code, out, _ = stlib("restore", backup, "--replace")
    assert code == 0 and "2 documents had been erased since, and came back" in out
    assert "\n  stlib erase animals bee cat\n" in out
    assert stlib("erase", "animals", "bee", "cat", "--yes")[0] == 0
    assert restore(me, Location(location.home / "elsewhere"), backup).back == {}
