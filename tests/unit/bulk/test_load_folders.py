"""A load of folders leaves what a sync of them leaves, and a sync after it finds nothing to do."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import fsspec
import pytest
from sqlalchemy import text

from indexing import Collection
from indexing.bulk import plan
from indexing.bulk.here import load_here
from indexing.bulk.sources import NamedSource
from indexing.catalog.database import reading, writing
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput
from indexing.sources import compare

DOCUMENTS = """
    SELECT d.id, d.title, d.text, d.metadata, d.origin, d.marks, s.root, f.name
    FROM document d LEFT JOIN file f ON f.id = d.file_id LEFT JOIN source s ON s.id = f.source_id
    WHERE NOT d.deleted ORDER BY d.id
"""
FILES = """
    SELECT s.root, s.kind, s.options, f.name, f.size, f.modified, f.changed, f.inode, f.digest, f.reader,
           f.problem, f.stale, f.read_at > 0
    FROM file f JOIN source s ON s.id = f.source_id ORDER BY s.root, f.name
"""


@pytest.fixture(autouse=True)
def a_fine_clock(monkeypatch):
    """Files that were changed a moment ago count as safely changed before."""
    monkeypatch.setattr(compare, "GRAIN", -(10**12))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Large files are those of some kilobytes."""
    monkeypatch.setattr(plan.plan_shards, "__kwdefaults__", {"shard_bytes": 2000, "shard_documents": 20})


@pytest.fixture
def made(home):
    """Makes collections; one for a load, one for what a plain run does."""
    opened = []

    def make(name: str) -> Collection:
        opened.append(Collection.create(name, home=home))
        return opened[-1]

    yield make
    for collection in opened:
        collection.close()


def load(collection: Collection, *addresses: Any, options: ReadOptions | None = None, restart: bool = False):
    with NamedSource(collection._session, addresses, options) as source:
        return load_here(
            collection._session,
            collection._views,
            collection._encoders,
            source,
            restart=restart,
            piece_documents=12,
        )


def rows(collection: Collection) -> tuple[list, list]:
    """Documents and files as the catalog has them, but for keys and times."""
    with reading(collection._session.database) as connection:
        own = {
            id_: tuple(rest)
            for id_, *rest in connection.execute(
                text(
                    DOCUMENTS.replace(
                        "NOT d.deleted", f"NOT d.deleted AND d.collection_id = {collection._session.id}"
                    )
                )
            )
        }
        files = connection.execute(
            text(FILES.replace("ORDER", f"WHERE s.collection_id = {collection._session.id} ORDER"))
        )
        return sorted(own.items()), [tuple(row) for row in files]


def write_corpus(folder: Path) -> Path:
    """Files of all that a load treats differently."""
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("# Apples\n\nThey are red.")
    (folder / "empty.txt").write_text("")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "x.log").write_text("ignored")
    (folder / "deep" / "b.md").write_text("Bread is brown.")
    lines = [f'{{"text": "line {n} of a file", "n": {n}}}' for n in range(60)]
    lines[30] = "broken"
    (folder / "deep" / "c.jsonl").write_text("\n".join(lines))
    own = [f'{{"id": "own{n}", "text": "row {n} with an id"}}' for n in range(50)]
    (folder / "d.jsonl").write_text("\n".join(own))
    (folder / "e.csv").write_text("text,author\n" + "".join(f"cheese {n},Jo\n" for n in range(20)))
    return folder


def nothing_to_do(report) -> bool:
    """But for trying again what could not be read, as each sync does."""
    return not report.changed and report.added.received == report.added.skipped


def test_a_load_leaves_what_a_sync_leaves(made, tmp_path):
    folder = write_corpus(tmp_path / "docs")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 of no use")
    (folder / "notes").write_bytes(bytes(range(256)))
    plain, loaded = made("plain"), made("loaded")
    synced = plain.sync(folder)
    report = load(loaded, folder)
    assert rows(loaded) == rows(plain)
    assert (report.added.added, report.bad_count, report.finished) == (synced.added.added, 0, True)
    assert report.added.added == 2 + 59 + 50 + 20
    assert nothing_to_do(loaded.sync())
    assert report.synced is not None
    assert nothing_to_do(report.synced)


def test_single_files_and_a_folder_within_another_are_sources_as_in_a_sync(made, tmp_path):
    folder = write_corpus(tmp_path / "docs")
    named = [folder / "d.jsonl", folder / "deep", folder / "a.md"]
    plain, loaded = made("plain"), made("loaded")
    plain.sync(named)
    load(loaded, *named)
    assert rows(loaded) == rows(plain)
    assert nothing_to_do(loaded.sync())


def test_a_folder_that_is_known_gets_only_what_is_new_by_the_load_and_the_rest_by_the_sync(made, tmp_path):
    folder = write_corpus(tmp_path / "docs")
    plain, loaded = made("plain"), made("loaded")
    for collection in (plain, loaded):
        collection.sync(folder)
    (folder / "a.md").write_text("# Apples\n\nThey are green.")
    (folder / "deep" / "b.md").rename(folder / "deep" / "bread.md")
    (folder / "e.csv").unlink()
    (folder / "new.jsonl").write_text("\n".join(f'{{"text": "new {n}"}}' for n in range(30)))
    plain.sync(folder)
    report = load(loaded, folder)
    assert rows(loaded) == rows(plain)
    assert (report.added.added, report.synced.added.updated, report.synced.files.renamed) == (30, 2, 1)
    assert nothing_to_do(loaded.sync())


def test_a_load_that_was_stopped_goes_on_and_ends_as_a_sync(made, tmp_path, monkeypatch):
    folder = write_corpus(tmp_path / "docs")
    plain, loaded = made("plain"), made("loaded")
    plain.sync(folder)
    chance = random.Random(7)
    stops = 0
    read = NamedSource.read

    def stopped(self, shard, done):
        for piece in read(self, shard, done):
            yield piece
            if chance.random() < 0.25:
                raise KeyboardInterrupt

    monkeypatch.setattr(NamedSource, "read", stopped)
    while True:
        try:
            report = load(loaded, folder)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 2
    assert report.resumed
    assert rows(loaded) == rows(plain)
    assert nothing_to_do(loaded.sync())


def test_a_source_that_changed_between_two_starts_is_named_and_restart_plans_anew(
    made, tmp_path, monkeypatch
):
    folder = write_corpus(tmp_path / "docs")
    plain, loaded = made("plain"), made("loaded")
    read = NamedSource.read

    def stopped(self, shard, done):
        yield from read(self, shard, done)
        if shard.number == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(NamedSource, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        load(loaded, folder)
    monkeypatch.setattr(NamedSource, "read", read)
    before = rows(loaded)
    text = (folder / "d.jsonl").read_text().replace("row 5 ", "another 5 ").rpartition("\n")[0]
    (folder / "d.jsonl").write_text(text)
    with pytest.raises(BadInput, match=r"d\.jsonl has changed since this load was planned: it had"):
        load(loaded, folder)
    assert rows(loaded) == before
    plain.sync(folder)
    load(loaded, folder, restart=True)
    assert rows(loaded)[0] == rows(plain)[0]
    assert nothing_to_do(loaded.sync())
    assert rows(loaded) == rows(plain)


def test_a_file_that_cannot_be_read_to_its_end_is_read_again_next_time(made, tmp_path):
    folder = write_corpus(tmp_path / "docs")
    loaded, plain = made("loaded"), made("plain")
    path = folder / "d.jsonl"
    with NamedSource(loaded._session, [folder]) as source:
        whole = source.read

        def changed(shard, done):
            if shard.spec["files"][0].get("name") == "d.jsonl" and shard.spec["part"]["first"] > 1:
                os.utime(path, ns=(10**18, 10**18))
            return whole(shard, done)

        source.read = changed
        report = load_here(loaded._session, loaded._views, loaded._encoders, source, piece_documents=12)
    assert report.bad_count >= 1
    assert not report.finished
    assert "d.jsonl has changed since this load was planned: it was changed at 2001" in report.bad[0].reason
    state = {row[3]: row[-1] for row in rows(loaded)[1]}
    assert not state["d.jsonl"]
    assert state["deep/c.jsonl"]
    load(loaded, folder, restart=True)
    plain.sync(folder)
    assert rows(loaded) == rows(plain)


def test_a_file_that_cannot_be_looked_at_is_not_noted_as_read(made, tmp_path, monkeypatch):
    folder = write_corpus(tmp_path / "docs")
    loaded = made("loaded")
    with NamedSource(loaded._session, [folder]) as source:
        finish = source.finish

        def away(shards, bad, denied):
            (folder / "deep").rename(tmp_path / "elsewhere")
            (folder / "deep").write_text("a share that is not mounted")
            finish(shards, bad, denied)

        monkeypatch.setattr(source, "finish", away)
        monkeypatch.setattr(source, "sync_rest", lambda *_: None)
        load_here(loaded._session, loaded._views, loaded._encoders, source, piece_documents=12)
    state = {row[3]: row[-1] for row in rows(loaded)[1]}
    assert (state["deep/c.jsonl"], state["d.jsonl"]) == (0, 1)


def test_files_that_were_erased_stay_out(made, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    words = "Apples are red, and these are words enough to be known again by."
    (folder / "a.md").write_text(words)
    loaded = made("loaded")
    loaded.sync(folder)
    loaded.erase(["a.md"])
    (folder / "copy.md").write_text(words)
    (folder / "b.md").write_text("Bread is brown.")
    report = load(loaded, folder)
    assert (report.added.added, report.added.denied, report.finished) == (1, 1, True)
    documents, files = rows(loaded)
    assert ([id_ for id_, _ in documents], [row[3] for row in files]) == (["b.md"], ["b.md"])


def test_documents_of_an_address_know_where_they_are_from(made, tmp_path):
    store = fsspec.filesystem("memory")
    folder = write_corpus(tmp_path / "docs")
    loaded = made("loaded")
    for root in ("one", "two"):
        for path in folder.rglob("*"):
            if path.is_file():
                store.pipe_file(f"/{root}/{path.relative_to(folder)}", path.read_bytes())
    try:
        report = load(loaded, "memory://one")
        assert (report.added.added, report.synced) == (2 + 59 + 50 + 20, None)
        again = load(loaded, "memory://one/*.md")
        assert (again.added.added, again.added.unchanged) == (0, 1)
        store.pipe_file("/two/a.md", b"# Other apples\n\nThey are green.")
        load(loaded, "memory://two/*.md")
        found = dict(rows(loaded)[0])
        assert found["a.md"][1:2] == ("Apples\n\nThey are red.",)
        assert found["two/a.md"][1:2] == ("Other apples\n\nThey are green.",)
        assert [found[id_][3] for id_ in ("a.md", "two/a.md", "deep/c.jsonl#3")] == [
            "memory://one/a.md",
            "memory://two/a.md",
            "memory://one/deep/c.jsonl#3",
        ]
    finally:
        for path in list(store.store):
            store.rm_file(path)


def test_what_is_not_there_is_told_and_nothing_is_changed(made, tmp_path):
    loaded = made("loaded")
    (tmp_path / "docs").mkdir()
    with pytest.raises(BadInput, match="nothing was named"):
        load(loaded)
    with pytest.raises(BadInput, match="addresses of other machines may not be read here"):
        NamedSource(loaded._session, [tmp_path, "memory://one"], within=[tmp_path])
    with pytest.raises(BadInput, match=r"no such file or folder: .*nowhere; nothing was read"):
        load(loaded, tmp_path / "docs", tmp_path / "nowhere")
    with pytest.raises(BadInput, match="there is nothing at memory://nowhere"):
        load(loaded, tmp_path / "docs", "memory://nowhere")
    assert rows(loaded) == ([], [])
    assert loaded.sources() == []


def test_a_load_of_a_file_reads_no_others_that_the_catalog_names_beside_it(made, tmp_path):
    collection = made("files")
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for path in paths:
        path.write_text(f"text of {path.name}")
    collection.sync([paths[0], paths[1]])
    with writing(collection._session.database) as connection:
        connection.execute(text("UPDATE file SET read_at = 0"))
    with NamedSource(collection._session, [paths[0], paths[2]], None) as source:
        shards = list(source.plan(12))
    assert [entry["name"] for shard in shards for entry in shard.spec["files"]] == ["a.txt", "c.txt"]
