"""A collection with all that may belong to one: servings, artifacts, sources, feedback, tuning, files."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.config import Config

from app.cli import main
from app.facade.backups import back_up
from app.facade.caller import Caller, local_caller
from app.facade.feedback import record, record_click
from app.facade.search import SearchRequest, search
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import close_databases, read_events, read_impressions, read_sayings
from app.settings import Location, UploadLimits
from app.tuning.runs import add_run, begin_trial, finish_look, read_looks, read_runs, read_trials, take_look
from app.tuning.trained.candidates import models_folder
from app.uploads.store import Incoming, Uploads
from indexing import Collection
from indexing.catalog import migrate
from indexing.catalog.database import open_database, writing
from indexing.search.settings import Head, SearchSettings
from indexing.storage.archive import ArchiveReader, ArchiveWriter

ANIMALS = [
    {"id": "whale", "text": "Whales breathe air through a blowhole.", "metadata": {"legs": 0}},
    {"id": "bee", "text": "Bees make honey and dance to show flowers.", "metadata": {"legs": 6}},
    {"id": "dog", "text": "Dogs bark at strangers and guard the house.", "metadata": {"legs": 4}},
    {"id": "cat", "title": "Cat", "text": "Cats purr when they are content.", "metadata": {"legs": 4}},
    {"id": "ant", "text": "Ants carry leaves.", "metadata": {"legs": 6}},
]
QUESTIONS = ("who makes honey?", "which animal guards a house")


@pytest.fixture
def location(home):
    location = Location(home)
    yield location
    feedback_log(feedback_place(location)).flush()
    close_databases()


@pytest.fixture
def animals(location, used):
    """The uuid of a collection that was used for a while; its home lies where `location` says."""
    home, uuid = used
    shutil.copytree(home, location.home)
    return uuid


@pytest.fixture(scope="session")
def used(tmp_path_factory):
    """A home with a collection of two generations and three servings, and its uuid."""
    location = Location(tmp_path_factory.mktemp("used") / "home")
    with Collection.create("animals", **location.arguments()) as collection:
        collection.add(ANIMALS)
        collection.delete(["ant"])
        generator = np.random.default_rng(0)
        head = Head(*(generator.normal(scale=0.2, size=s).astype(np.float32) for s in ((256, 3), (3, 256))))
        learned = collection.create_serving(SearchSettings(head=head), note="head").id
        collection.record_gate(learned, {"verdict": "passed"})
        collection.promote(learned, who="ann")
        collection.reindex(precision="binary")
        say_something(location, collection)
    folder = tmp_path_factory.mktemp("notes")
    (folder / "eel.md").write_text("Eels swim far to lay their eggs.\n")
    with pytest.raises(SystemExit) as end:
        main(["index", "animals", str(folder), "--home", str(location.home)])
    assert end.value.code == 0
    weights = models_folder(location, "animals") / "0123456789abcdef" / "1_Pooling"
    weights.mkdir(parents=True)
    (weights / "config.json").write_text('{"word_embedding_dimension": 2}')
    uploads = Uploads(location)
    with uploads.locked():
        uploads.receive("animals", [Incoming("Übung 1.txt", io.BytesIO(b"Owls hunt."))], UploadLimits())
    close_databases()
    return location.home, collection.uuid


@pytest.fixture(scope="session")
def made(used, tmp_path_factory):
    path = tmp_path_factory.mktemp("backup") / "b.tar"
    back_up(local_caller(), Location(used[0]), path, ["animals"])
    close_databases()
    return path


@pytest.fixture
def backup(made):
    """A backup of `animals`; nobody writes to it."""
    return made


def say_something(location, collection):
    ann = Caller("ann", "page", "visit-1")
    for question in QUESTIONS:
        found = search(collection, SearchRequest(q=question), caller=ann, location=location)
        assert feedback_log(feedback_place(location)).flush()
        record_click(ann, location, collection, found.id, found.results[0].id)
        record(ann, location, collection, question, found.results[0].id, "up", impression=found.id)
    record(ann, location, collection, QUESTIONS[0], "", "none", shown=("cat", "dog"))
    assert feedback_log(feedback_place(location)).flush()
    live = next(one.id for one in collection.servings() if one.live)
    run = {"candidate": live, "promoted": True, "seconds": 1.5, "questions": ["q1", "q2"]}
    add_run(location, collection.uuid, "ranking", **run)
    look, _ = take_look(
        location, collection.uuid, ["q1", "q3"], baseline=1, candidate=live, cross_fitted=False
    )
    finish_look(location, look, 0.01, "better", {"gain": 0.2})
    begin_trial(location, collection.uuid, live, 1)


@pytest.fixture
def facts():
    """All that a person could notice of a collection at a place."""

    def facts(location, name="animals"):
        with Collection.open(name, **location.arguments()) as collection:
            verified = collection.verify()
            assert not verified.errors
            uuid = collection.uuid
            answers = {
                (question, serving.id): [(one.id, round(one.score, 5)) for one in found.results]
                for question in QUESTIONS
                for serving in collection.servings()
                for found in [collection.search(question, serving=serving.id)]
            }
            servings = [
                (one.note, one.live, one.precision, one.head, one.gate) for one in collection.servings()
            ]
            documents = [(one.to_dict(), one.seq) for one in collection.documents()]
            sources = [(one.root, one.files) for one in collection.sources()]
        place = feedback_place(location)
        said = [
            [one.to_dict() | {"id": "", "collection": "", "impression": ""} for one in read(place, uuid)]
            for read in (read_impressions, read_events, read_sayings)
        ]
        tuned = [[repr(one) for one in read(location, uuid)] for read in (read_runs, read_looks, read_trials)]
        uploads = [(path.name, path.read_bytes()) for path, _ in Uploads(location).files(name)]
        models = sorted(
            (str(path.relative_to(models_folder(location, name))), path.read_bytes())
            for path in models_folder(location, name).rglob("*")
            if path.is_file()
        )
        return {
            "answers": answers,
            "servings": servings,
            "documents": documents,
            "sources": sources,
            "said": said,
            "tuned": tuned,
            "uploads": uploads,
            "models": models,
        }

    return facts


@pytest.fixture
def me():
    return local_caller()


@pytest.fixture
def stlib(capsys, monkeypatch, location):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(location.home))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def add_more(location):
    """Adds one document, as somebody does after a backup was made."""

    def add(name="animals", id_="new"):
        with Collection.open(name, **location.arguments()) as collection:
            collection.add([{"id": id_, "text": json.dumps({"said": id_})}])

    return add


@pytest.fixture
def forge(tmp_path):
    """A backup with other contents and right checksums, as somebody makes it who knows how they are made."""

    def forge(backup, changes=None, about=None, extra=()):
        made = tmp_path / f"forged-{len(list(tmp_path.glob('forged-*')))}.tar"
        parts = tmp_path / "parts"
        with ArchiveReader(backup) as reader, made.open("xb") as file:
            writer = ArchiveWriter(file)
            for number, name in enumerate(reader.members):
                part = parts / str(number)
                parts.mkdir(exist_ok=True)
                reader.extract(name, part)
                if changes and name in changes:
                    changes[name](part)
                writer.add(name, part)
            for name in extra:
                (parts / "extra").write_bytes(b"extra")
                writer.add(name, parts / "extra")
            writer.finish({**reader.about, **(about or {})})
        shutil.rmtree(parts)
        return made

    return forge


@pytest.fixture
def older(forge):
    """The same backup, as the release before the last schema would have made it."""

    def downgrade(catalog):
        engine = open_database(catalog)
        with writing(engine) as connection:
            config = Config()
            config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
            config.attributes["connection"] = connection
            command.downgrade(config, "-1")
        engine.dispose()

    return lambda backup: forge(backup, {"animals/catalog.sqlite": downgrade}, {"schema": "0005"})
