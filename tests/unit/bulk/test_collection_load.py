"""`Collection.load` over folders: what `sync` would leave, in parts that survive being stopped."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from app.cli.group import cli
from indexing import Collection
from indexing.errors import BadInput, LockedError
from indexing.sources import compare
from tests.unit.bulk.given import documents, facts, say_always


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "GRAIN", -(10**12))  # files that were just written are not read again
    folder = tmp_path / "corpus"
    (folder / "deep").mkdir(parents=True)
    for one in documents(12):
        (folder / "deep" / f"{one.id}.md").write_text(f"# {one.title or one.id}\n\n{one.text}\n")
    (folder / "empty.txt").write_text("  ")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 torn")
    rows = [json.dumps({"id": one.id, "text": one.text, "n": 1}) for one in documents(30, "row")]
    (folder / "rows.jsonl").write_text("\n".join([*rows[:20], "{torn", *rows[20:]]) + "\n")
    return folder


def test_a_folder_is_loaded_as_a_sync_would_read_it(home, corpus, tmp_path):
    with Collection.create("c", home=tmp_path / "plain") as plain, Collection.create("c", home=home) as made:
        synced = plain.sync(corpus)
        report = made.load(corpus)
        assert facts(made) == facts(plain)
        assert (report.added.added, report.added.skipped) == (synced.added.added, synced.added.skipped)
        assert (report.finished, report.bad, report.added.added) == (True, [], 42)
        again = made.sync()
        assert not again.changed and again.files == plain.sync().files
        assert made.verify().clean and made.unfinished_loads() == []
        (corpus / "new.txt").write_text("Owls hoot at night.")
        (corpus / "rows.jsonl").unlink()
        report = made.load(corpus)
        assert (report.added.added, report.synced.vanished) == (1, 30)
        assert made.search("who hoots", k=1)[0].id == "new.txt"


def test_a_load_that_was_stopped_goes_on_or_is_given_up(home, corpus, monkeypatch):
    say_always(monkeypatch)
    monkeypatch.setattr("indexing.bulk.loads.STATIC_DOCUMENTS", 4)

    def stop(report):
        if report.added.received >= 8:
            raise KeyboardInterrupt

    with Collection.create("c", home=home) as collection:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                collection.load(corpus, progress=stop)
        assert collection.unfinished_loads() == [str(corpus)]
        said = CliRunner().invoke(cli, ["info", "c", "--home", str(home)]).output
        assert f"stopped: a load of {corpus}" in " ".join(said.split())
        told = CliRunner().invoke(cli, ["info", "c", "--home", str(home), "--json"]).output
        assert json.loads(told)["unfinished_loads"] == [str(corpus)]
        held = collection._session.writing_documents()
        with held, Collection.open("c", home=home) as other, pytest.raises(LockedError):
            other.abandon_loads()
        assert collection.load(corpus).resumed
        with pytest.raises(KeyboardInterrupt):
            collection.load(corpus, restart=True, progress=stop_at_once)
        assert collection.abandon_loads() == 1
        assert collection.unfinished_loads() == [] and len(collection) == 42


def stop_at_once(_):
    raise KeyboardInterrupt


def test_nothing_that_is_not_there_is_loaded(home, tmp_path):
    with Collection.create("c", home=home) as collection:
        with pytest.raises(BadInput, match="nowhere"):
            collection.load(tmp_path / "nowhere")
        with pytest.raises(BadInput, match="nothing was named"):
            collection.load([])
