"""A backup that is damaged, or that a stranger made: refused before anything is written, nothing trusted."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sqlite3
import tarfile
from contextlib import closing

import pytest

from app.facade.backups import restore
from app.feedback.place import feedback_place
from app.settings import Location
from app.tuning.trained.candidates import models_folder
from indexing import Collection
from indexing.errors import BadInput, StorageError, UnconfirmedSource, UntrustedModel
from indexing.storage.archive import ArchiveReader

CATALOG = "animals/catalog.sqlite"


@pytest.fixture
def other(tmp_path):
    return Location(tmp_path / "other")


@pytest.fixture
def refused(me, other, canary):
    """That restoring a file is refused with these words, and leaves nothing anywhere."""

    def refused(path, words, error=BadInput):
        with pytest.raises(error, match=words):
            restore(me, other, path)
        assert not other.home.exists()
        assert not canary.exists()

    return refused


def test_a_bit_that_flips_anywhere_is_noticed(backup, refused, tmp_path):
    data = backup.read_bytes()
    places = random.Random(0)
    damaged = tmp_path / "damaged.tar"
    for place in [*places.sample(range(8 * len(data)), 60), *range(0, 8 * 512, 97)]:
        copy = bytearray(data)
        copy[place // 8] ^= 1 << place % 8
        damaged.write_bytes(copy)
        refused(damaged, "is no backup of stlib, or a damaged one: .*; nothing was restored")


def test_every_byte_of_a_small_archive_counts(tmp_path, archive_of):
    data = archive_of({"a/catalog.sqlite": b"pages"}).read_bytes()
    damaged = tmp_path / "damaged.tar"
    for place in range(0, 8 * len(data), 83):
        copy = bytearray(data)
        copy[place // 8] ^= 1 << place % 8
        damaged.write_bytes(copy)
        with pytest.raises(BadInput, match="damaged one"), ArchiveReader(damaged) as archive:
            archive.check()


def test_what_is_cut_off_or_longer_is_refused(backup, refused, tmp_path):
    data = backup.read_bytes()
    damaged = tmp_path / "damaged.tar"
    for size in (0, 1, 511, 512, 5000, len(data) // 2, len(data) - 1, len(data) - 1024):
        damaged.write_bytes(data[:size])
        refused(damaged, "damaged one")
    for more in (b"x", bytes(512), bytes(10240), data):
        damaged.write_bytes(data + more)
        refused(damaged, "damaged one")


@pytest.fixture
def archive_of(tmp_path):
    """An archive of ours with other contents, checksums and all."""
    from indexing.storage.archive import ArchiveWriter

    def archive_of(files, about=None):
        path = tmp_path / "made.tar"
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            writer = ArchiveWriter(file)
            for name, data in files.items():
                (tmp_path / "part").write_bytes(data)
                writer.add(name, tmp_path / "part")
            writer.finish(about or {})
        return path

    return archive_of


def member(name, kind=tarfile.REGTYPE, data=b"evil", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(data), link, 0o600
    return info, data


@pytest.mark.parametrize(
    ("info", "data"),
    [
        member("../canary"),
        member("animals/../../canary"),
        member("/tmp/canary"),
        member("animals/./x"),
        member("animals//x"),
        member(".hidden/x"),
        member("animals/cat\nalog"),
        member("animals\\canary"),
        member("c:/canary"),
        member("animals/x", tarfile.SYMTYPE, b"", "/etc/passwd"),
        member("animals/x", tarfile.LNKTYPE, b"", CATALOG),
        member("animals/x", tarfile.CHRTYPE, b""),
        member("animals/x", tarfile.BLKTYPE, b""),
        member("animals/x", tarfile.FIFOTYPE, b""),
        member("animals/x", tarfile.DIRTYPE, b""),
        member("animals/x", tarfile.GNUTYPE_SPARSE, b"evil"),
        member("animals/" + "x" * 200),  # which needs a long name of GNU's
        member(CATALOG),  # a second time
    ],
)
def test_what_no_backup_has_is_refused(backup, refused, tmp_path, info, data):
    forged = tmp_path / "forged.tar"
    shutil.copy(backup, forged)
    with tarfile.open(forged, "a", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(data))
    refused(forged, "damaged one")
    with tarfile.open(backup) as whole, tarfile.open(forged, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(data))
        for one in whole:
            archive.addfile(one, whole.extractfile(one))
    refused(forged, "damaged one")


def test_a_size_that_is_not_there_costs_nothing(backup, refused, tmp_path):
    for size in (10**6, 2**40, 2**62, -(2**40)):
        info = tarfile.TarInfo("animals/x")
        info.size, info.mode = size, 0o600
        forged = tmp_path / "forged.tar"
        forged.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + backup.read_bytes())
        refused(forged, "damaged one")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"format": "zip"}, "is an archive, but no backup of stlib"),
        ({"version": "1"}, "does not say of which release it is"),
        ({"version": True}, "does not say of which release it is"),
        ({"schema": None}, "does not say of which release it is"),
        ({"collections": {}}, "holds no collection"),
        ({"collections": {"animals": {}}}, "holds files that belong to no collection"),
        ({"collections": {"animals": {}, "../x": {}}}, "collection name '../x'"),
        ({"collections": {"animals": {}, "cats": {}}}, "has no catalog of collection cats"),
        ({"collections": {"animals": {"models": ["x"]}}}, "names no models where they belong"),
        ({"collections": {"animals": {"models": {"a": 5}}}}, "names no models where they belong"),
        (
            {"collections": {"animals": {"uploads": {"x": "animals/uploads/9"}}}},
            "lacks uploads that it names",
        ),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(backup, forge, refused, about, words):
    refused(forge(backup, about=about), words)


@pytest.mark.parametrize(
    "path",
    "../canary /canary a/../../canary  . .. a//b a/ .ssh a\\b c:x a\0b * a/b/c/d/e/f/g/h/i".split(" "),
)
@pytest.mark.parametrize("kind", ["models", "uploads"])
def test_no_path_leaves_the_target(backup, forge, refused, kind, path):
    with ArchiveReader(backup) as archive:
        about = archive.about["collections"]["animals"]
    number = f"animals/{kind}/000001"
    refused(
        forge(backup, about={"collections": {"animals": {**about, kind: {path: number}}}}), "is no path of"
    )


def test_files_that_the_manifest_does_not_name_are_refused(backup, forge, refused):
    refused(forge(backup, extra=["animals/extra"]), "belong to no collection, or to two")
    with ArchiveReader(backup) as archive:
        about = archive.about["collections"]["animals"]
    twice = {**about, "uploads": {"a": "animals/models/000001", "b": "animals/uploads/000001"}}
    refused(forge(backup, about={"collections": {"animals": twice}}), "belong to no collection, or to two")


def run(*statements):
    def change(path):
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            run("CREATE TRIGGER t AFTER UPDATE ON collection BEGIN DELETE FROM document; END"),
            "holds trigger 't'",
        ),
        (run("CREATE VIEW v AS SELECT load_extension('/tmp/evil')"), "holds view 'v'"),
        (run("CREATE VIRTUAL TABLE f USING fts5(x)"), "holds table 'f'"),
        (run("DELETE FROM collection"), "0 collections are in a catalog"),
        (
            run(
                "INSERT INTO collection SELECT 9, 'x', 'u', 0, 0, 0, 1, NULL, created_at, NULL"
                " FROM collection"
            ),
            "2 collections are in a catalog",
        ),
        (run("DROP TABLE alembic_version"), "."),
        (run("DROP TABLE collection"), "."),
        (lambda path: path.write_bytes(b"no database at all" * 100), "not a database|damaged"),
        (lambda path: path.write_bytes(b""), "."),
        (lambda path: path.write_bytes(path.read_bytes()[:40_000]), "."),
    ],
)
def test_a_catalog_that_no_release_makes_is_refused(backup, forge, refused, change, words):
    refused(forge(backup, {CATALOG: change}), words, StorageError)


@pytest.mark.parametrize(
    ("database", "statement"),
    [
        ("feedback", "UPDATE impression SET shown = '{'"),
        ("feedback", "UPDATE saying SET grade = 'x'"),
        ("feedback", "INSERT INTO followed VALUES ((SELECT collection FROM saying), 'x')"),
        ("tuning", "UPDATE look SET alpha = 'x'"),
        ("tuning", "UPDATE serving_question SET question = x'ff' WHERE question = 'q1'"),
    ],
)
def test_feedback_that_is_none_reaches_no_database(me, location, backup, forge, other, database, statement):
    with Collection.create("mine", **other.arguments()):
        pass
    with pytest.raises(StorageError, match=f"{database}.sqlite is damaged"):
        restore(me, other, forge(backup, {f"animals/{database}.sqlite": run(statement)}))
    assert Collection.list(**other.arguments()) == ["mine"]
    assert [path.name for path in (other.home / "collections").iterdir()] == ["mine"]
    if feedback_place(other).exists:
        with closing(sqlite3.connect(feedback_place(other).database)) as connection:
            assert connection.execute("SELECT count(*) FROM saying").fetchone() == (0,)


def test_triggers_in_feedback_do_nothing(me, backup, forge, other, facts):
    trigger = "CREATE TRIGGER t AFTER INSERT ON impression BEGIN DELETE FROM saying; END"
    restore(me, other, forge(backup, {"animals/feedback.sqlite": run(trigger)}))
    assert len(facts(other)["said"][2]) == 3
    with closing(sqlite3.connect(feedback_place(other).database)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone() == (
            0,
        )


def test_a_strangers_backup_stays_a_strangers(me, backup, forge, other, another_machine):
    """Its model is not opened, its folders are not read, nothing of its models is trusted."""
    evil = "UPDATE generation SET model = '/evil/model', fingerprint = '" + "ab" * 32 + "'"
    report = restore(me, other, forge(backup, {CATALOG: run(evil)}))
    assert report.models == [str(models_folder(other, "animals") / "0123456789abcdef")]
    with Collection.open("animals", **other.arguments()) as collection:
        with pytest.raises(UntrustedModel, match="was never used on this machine"):
            collection.search("who makes honey", mode="semantic")
        with pytest.raises(UnconfirmedSource):
            collection.sync()
        assert collection.search("honey", mode="keyword")[0].id == "bee"


def test_a_backup_that_is_no_file_is_not_waited_for(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", "/dev/zero"):
        refused(type(tmp_path)(path), "cannot be read as a backup")


def test_a_link_in_the_place_of_a_collection_is_not_followed(me, backup, other, tmp_path):
    (other.home / "collections").mkdir(parents=True)
    (tmp_path / "theirs").mkdir()
    (other.home / "collections" / "animals").symlink_to(tmp_path / "theirs")
    with pytest.raises(StorageError, match="is a symbolic link"):
        restore(me, other, backup)
    assert list((tmp_path / "theirs").iterdir()) == []


def test_json_of_any_depth_is_refused(tmp_path, archive_of, refused):
    path = archive_of(
        {"a/catalog.sqlite": b""}, {"format": "stlib backup", "x": json.loads("[" * 900 + "]" * 900)}
    )
    refused(path, "does not say of which release it is")
