"""`stlib reindex`: says what it will do, does it while others work, and says how to go back."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.cli.progress import ProgressBar
from app.demo import has_older_model, index_corpus
from app.facade.jobs import find_job
from app.jobs.place import jobs_place
from app.jobs.table import change, open_jobs
from app.jobs.worker import run_job
from app.settings import DEMO_COLLECTION
from indexing import Collection
from indexing.catalog.database import writing
from indexing.catalog.schema import Generation
from stlib.runtime import default_model_path

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def no_processes(monkeypatch):
    """Jobs stay queued; the test runs them by `run_job`."""
    monkeypatch.setattr("app.jobs.queue.spawn", lambda place, id_, *options: None)


@pytest.fixture
def other_model(tmp_path):
    """The bundled model with a prompt: another fingerprint, and other vectors of queries."""
    folder = shutil.copytree(default_model_path(), tmp_path / "other model")
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "prompts": {"query": "question: "}}), "utf-8")
    return folder


@pytest.fixture
def age_model(home):
    """Lets a collection say that it was made with the bundled model of another version."""

    def age(name):
        with Collection.open(name, home=home) as aged, writing(aged._session.database) as connection:
            connection.execute(Generation.__table__.update().values(fingerprint="0" * 64))

    return age


def test_it_says_what_it_does_before_and_after(stlib, notes, home):
    code, out, err = stlib("reindex", "notes", "--precision", "binary", "--weight", "keyword=0.5")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:3] == [
        "reindex notes",
        "  change      precision binary, weights keyword 0.5",
        "  work        makes codes of about 30 passages from the codes there are, embeds nothing",
    ]
    assert re.fullmatch(r"  disk        needs [\d.]+ KiB, [\d.,]+ [GM]iB are free", lines[3])
    assert lines[4] == "serving 2 of notes is live: stlib-static-en, binary, faiss"
    assert lines[5] == "  made        30 documents in 30 passages"
    assert lines[7:] == ["  go back     `stlib rollback notes`"]
    with Collection.open("notes", home=home) as collection:
        assert collection.info().precision == "binary"
        assert collection.servings()[-1].ranking == {"weights": {"keyword": 0.5}}


def test_the_answers_are_those_of_a_collection_made_so_from_the_start(stlib, notes, answers, other_model):
    assert stlib("index", "fresh", notes, "--model", other_model, "--precision", "float32")[0] == 0
    assert answers() != answers(name="fresh")
    assert stlib("reindex", "notes", "--model", other_model, "--precision", "float32")[0] == 0
    for query in ("music and law", "garden in winter"):
        assert answers(query, "--mode", "semantic") == answers(query, "--mode", "semantic", name="fresh")


def test_only_what_is_needed_is_done(stlib, notes):
    for options, work in (
        ([], "embeds about 30 passages"),
        (["--precision", "float32"], "embeds about 30 passages"),
        (["--engine", "usearch"], "embeds nothing: the codes of 30 passages stay"),
        (["--reranker", "stlib-rerank-en"], "embeds nothing: the codes of 30 passages stay"),
        (["--max-tokens", 16], "embeds about 30 passages"),
    ):
        out = stlib("reindex", "notes", *options, "--no-promote")[1]
        assert f"  work        {work}\n" in out


def test_settings_that_are_not_given_stay(stlib, notes, home):
    stlib("reindex", "notes", "--max-tokens", 40)
    stlib("reindex", "notes", "--overlap", 7, "--weight", "semantic=2")
    stlib("reindex", "notes", "--weight", "keyword=0", "--reranker", "stlib-rerank-en")
    with Collection.open("notes", home=home) as collection:
        *_, second, last = collection.servings()
    assert second.chunking == last.chunking == {"max_tokens": 40, "overlap": 7, "opening": True}
    assert last.ranking == {"weights": {"semantic": 2.0, "keyword": 0.0}}
    assert (second.reranker, last.reranker) == (None, "stlib-rerank-en")


def test_boosts_are_set_replaced_and_removed(stlib, notes, home, answers):
    plain = answers()
    assert stlib("reindex", "notes", "--boost", 50, "subject = 'garden'", "--weight", "keyword=0.5")[0] == 0
    with Collection.open("notes", home=home) as collection:
        found = collection.search("music and law", 3)
        assert {result.metadata["subject"] for result in found} == {"garden"}
        assert collection.servings()[-1].note == "weights keyword 0.5, +50 where subject = 'garden'"
    assert "+50 where subject = 'garden'" in stlib("history", "notes")[1]
    assert stlib("reindex", "notes", "--boost", -1, "n <")[0] == 1
    stlib("reindex", "notes", "--no-boosts", "--weight", "keyword=1")
    assert answers() == plain


def test_a_serving_s_reranker_reads_unless_a_search_says_other(stlib, notes, answers):
    plain = answers()
    assert stlib("reindex", "notes", "--reranker", "stlib-rerank-en")[0] == 0
    found = json.loads(stlib("search", "notes", "music and law", "--json")[1])
    assert found["reranked"] == 30
    assert answers("music and law", "--rerank", "") == plain
    assert stlib("reindex", "notes", "--no-reranker")[0] == 0
    assert answers() == plain


WRONG = [
    (["--weight", "x=1"], 1, "weight of 'x': there is no such leg; the legs are semantic, keyword"),
    (["--weight", "keyword"], 2, "'keyword' is none, such as semantic=0.5; the legs are"),
    (["--weight", "keyword=nan"], 1, "weight nan of keyword: give a number, 0 or more"),
    (["--max-tokens", "10", "--overlap", "6"], 1, "passages: overlap is 6, allowed is 0 to half of"),
    (["--model", "/dev/null"], 1, "model '/dev/null' cannot be loaded"),
    (["--reranker", "a", "--no-reranker"], 2, "--reranker and --no-reranker contradict each other"),
]


def test_what_cannot_be_changes_nothing(stlib, notes, home):
    for background in ([], ["--background"]):
        for options, code, message in WRONG:
            ended, out, err = stlib("reindex", "notes", *options, *background)
            assert (ended, out, err.count("\n")) == (code, "", 1), err
            assert message in err
    with Collection.open("notes", home=home) as collection:
        assert len(collection.servings()) == len(collection.generations()) == 1
    assert stlib("jobs")[1].startswith("no jobs yet")


def test_without_room_nothing_is_begun(stlib, notes, home, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    for background in ([], ["--background"]):
        code, out, err = stlib("reindex", "notes", "--precision", "float32", *background)
        assert (code, out) == (1, "")
        assert "at least 0.1 MiB needed, 0.0 MiB free; free some space and run it again" in err
    with Collection.open("notes", home=home) as collection:
        assert len(collection.generations()) == 1


def test_ready_but_not_live(stlib, notes, answers):
    before = answers()
    code, out, _ = stlib("reindex", "notes", "--precision", "binary", "--no-promote")
    assert code == 0
    assert "serving 2 of notes is ready, and not live: stlib-static-en, binary, faiss\n" in out
    assert out.endswith("  go live     `stlib promote notes 2`\n")
    assert answers() == before
    told = json.loads(stlib("reindex", "notes", "--precision", "binary", "--json")[1])  # the same, and live
    assert (told["serving"]["id"], told["live"], told["before"], told["documents_made"]) == (2, 2, 1, 0)
    assert told["work"] == "convert"


@pytest.mark.usefixtures("ctrl_c_is_not_ignored")
def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(stlib, write_notes, answers, home, monkeypatch):
    path = write_notes(2500)  # three batches
    assert stlib("index", "notes", path)[0] == 0
    before = answers()
    show = ProgressBar.show

    def stop(bar, share, documents):
        show(bar, share, documents)
        if documents:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "show", stop)
    assert stlib("reindex", "notes", "--precision", "float32")[::2] == (
        130,
        "stlib: stopped; 'notes' answers as before, and 1,024 documents of this run stay done:"
        " run the same command again to go on\n",
    )
    assert answers() == before
    assert "generation 2 (stlib-static-en, float32) is being built, or was left" in " ".join(
        stlib("history", "notes")[1].split()
    )
    monkeypatch.setattr(ProgressBar, "show", show)
    out = stlib("reindex", "notes", "--precision", "float32")[1]
    assert "  goes on     with generation 2, which was begun before\n" in out
    assert "  made        1,476 documents in 1,476 passages\n" in out
    with Collection.open("notes", home=home) as collection:
        report = collection.verify()
        assert (report.clean, report.documents, report.chunks) == (True, 2500, 2500)
        assert collection.info().precision == "float32"


def test_others_search_and_add_meanwhile(stlib, write_notes, home):
    """A process of its own reindexes; here documents are added, deleted and searched until it is done."""
    assert stlib("index", "notes", write_notes(4000))[0] == 0
    command = [sys.executable, "-c", "from app.cli import main; main()", "reindex", "notes", "--json"]
    added, deleted, servings = [], [], set()
    with Collection.open("notes", home=home) as collection:
        with subprocess.Popen(
            [*command, "--precision", "float32"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            reader = threading.Thread(target=lambda: told.extend(process.communicate()))
            told = []
            reader.start()
            while process.poll() is None:
                id_ = f"late{len(added)}"
                collection.add([{"id": id_, "text": f"a late note, number {len(added)}, about zeppelins"}])
                added.append(id_)
                deleted += collection.delete([f"n{len(deleted):05}"])
                found = collection.search("zeppelins", 10_000, mode="keyword")
                assert {result.id for result in found} == set(added)
                servings.add(collection.search("a note about honey", 3, mode="semantic").serving)
            reader.join()
        said = [line for line in told[1].splitlines() if not line.endswith(" left")]  # a slow machine
        assert (process.returncode, said) == (0, [])
        assert json.loads(told[0])["live"] == 2
        assert servings <= {1, 2} and len(added) > 3
        found = {result.id for result in collection.search("a late note", 10_000, mode="semantic")}
        assert found == {f"n{n:05}" for n in range(len(deleted), 4000)} | set(added)
        assert collection.verify().clean
        assert collection.info().precision == "float32"


def test_in_the_background_it_is_a_job(stlib, notes, location):
    code, out, _ = stlib("reindex", "notes", "--precision", "binary", "--background")
    assert code == 0
    assert out.splitlines()[:2] == ["reindex notes", "  change      precision binary"]
    assert out.endswith("job 1: `stlib jobs` shows how far it is\n")
    log = stlib("jobs", "log", 1, "--follow")[1].splitlines()  # until its process is done
    assert [line.split("INFO ")[1] for line in log] == ["begun: reindex notes", "done"]
    shown = stlib("jobs", "show", 1)[1].splitlines()
    assert shown[:2] == ["job 1: reindex notes", "  state       done"]
    assert re.fullmatch(r"  progress    100 %, 30 documents, [\d,]+/s", shown[2])
    job = find_job(location, 1)
    assert (job.result["live"], job.result["serving"]["precision"]) == (2, "binary")
    assert job.result["serving"]["promotions"][0]["who"] == job.who


def test_a_job_that_was_killed_after_its_last_word_is_not_done_twice(stlib, notes, location, no_processes):
    stlib("reindex", "notes", "--background")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STLIB_FAULT": "job.before-result"}
    subprocess.run([sys.executable, "-m", "app.jobs.worker", "1"], env=environment, capture_output=True)
    assert find_job(location, 1).state == "interrupted"
    assert stlib("jobs", "resume", 1)[0] == 0
    run_job(location, 1)
    assert (find_job(location, 1).state, find_job(location, 1).result["live"]) == ("done", 2)
    with Collection.open("notes", home=location.home) as collection:
        assert [serving.id for serving in collection.servings()] == [1, 2]


def test_a_job_that_is_killed_while_it_builds_goes_on(stlib, write_notes, location, no_processes):
    assert stlib("index", "notes", write_notes(2500))[0] == 0
    stlib("reindex", "notes", "--precision", "float32", "--background")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STLIB_FAULT": "follow.after@2"}
    subprocess.run([sys.executable, "-m", "app.jobs.worker", "1"], env=environment, capture_output=True)
    assert find_job(location, 1).state == "interrupted"
    assert stlib("jobs", "resume", 1)[0] == 0
    job = run_job(location, 1)
    assert (job.state, job.result["documents_made"]) == ("done", 2500 - 2048)
    with Collection.open("notes", home=location.home) as collection:
        assert (collection.info().precision, collection.verify().clean) == ("float32", True)


def test_a_job_that_is_cancelled_promotes_nothing(stlib, notes, location, no_processes, monkeypatch):
    stlib("reindex", "notes", "--precision", "binary", "--background")

    reindex = Collection.reindex

    def cancel_first(collection, *arguments, **options):
        with open_jobs(jobs_place(location)) as engine:
            change(engine, find_job(location, 1), cancel_requested=True)
        return reindex(collection, *arguments, **options)

    monkeypatch.setattr(Collection, "reindex", cancel_first)
    assert run_job(location, 1).state == "cancelled"
    with Collection.open("notes", home=location.home) as collection:
        assert collection.info().serving == 1


def test_a_collection_of_an_older_bundled_model_says_reindex(stlib, notes, answers, age_model):
    stlib("reindex", "notes")
    expected = answers()
    age_model("notes")
    code, out, err = stlib("search", "notes", "music and law")
    assert (code, out) == (1, "")
    assert "it came with another version; `stlib reindex notes` embeds all with this one" in err
    code, out, err = stlib("reindex", "notes")
    assert code == 0 and "  change      model stlib-static-en\n" in out, err
    assert answers() == expected


def test_the_demo_begins_anew_with_another_bundled_model(stlib, write_notes, location, age_model):
    path = write_notes(30)
    assert stlib("index", DEMO_COLLECTION, path)[0] == 0
    assert not has_older_model(location)
    age_model(DEMO_COLLECTION)
    assert stlib("index", DEMO_COLLECTION, path)[0] == 0  # nothing was to be embedded
    assert has_older_model(location)
    index_corpus(location, path)
    assert not has_older_model(location)
    assert stlib("search", DEMO_COLLECTION, "music and law")[0] == 0


def test_a_terminal_shows_a_bar_below_what_will_be_done(write_notes, stlib, home):
    assert stlib("index", "notes", write_notes(1500))[0] == 0
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "rows", "40", "cols", "70"], stdin=theirs, check=True)
    command = [sys.executable, "-c", "from app.cli import main; main()", "reindex", "notes"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    del environment["COLUMNS"]
    process = subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux says so when the other end is closed
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert process.wait() == 0
    lines = re.split(r"[\r\n]+", shown.decode())
    bars = [line for line in lines if "% |" in line]
    assert bars[0].startswith("  0% |") and max(len(line) for line in bars) <= 70
    assert lines.index("  work        embeds about 1,500 passages") < lines.index(bars[0])
