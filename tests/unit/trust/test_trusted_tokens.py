"""The model of vectors of tokens that a catalog names is opened only if this machine knows it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from app.cli import main
from indexing import Collection
from indexing.errors import BadInput, ModelMismatch, RerankingFailed, UntrustedModel
from indexing.models.beside import load_beside
from indexing.models.trust import recorded_source
from tests.toy_tokens import save_letters

pytestmark = pytest.mark.usefixtures("another_machine")

QUESTION = "how do whales breathe"
DOCUMENTS = [
    {"id": "whale", "text": "Whales breathe air through a blowhole."},
    {"id": "bread", "text": "Dough rises because yeast makes gas."},
]


@pytest.fixture
def model(tmp_path):
    return save_letters(tmp_path / "letters")


@pytest.fixture
def fingerprint(model, home):
    """That of the model, with which a collection was made on this machine."""
    with Collection.create("c", home=home, tokens=model) as collection:
        collection.add(DOCUMENTS)
        return collection._session.live().generation.beside["tokens"]["fingerprint"]


@pytest.fixture
def move_to_another_machine(monkeypatch, tmp_path):
    def move():
        monkeypatch.setenv("STLIB_STATE", str(tmp_path / "a third machine"))

    return move


def reranked(home, **given):
    with Collection.open("c", home=home, **given) as collection:
        return collection.search(QUESTION, rerank="tokens")


def test_a_model_that_was_used_here_by_hand_is_found_again(home, model, fingerprint):
    assert recorded_source(fingerprint) == str(model)
    found = reranked(home)
    assert (found.reranked, found.notes) == (2, [])


def test_a_copied_home_opens_nothing(home, model, fingerprint, move_to_another_machine, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    os.mkfifo(trap / "modules.json")  # whoever opens it waits for ever
    with closing(sqlite3.connect(home / "collections/c/catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE generation SET beside = json_set(beside, '$.tokens.model', ?)", (str(trap),))
    assert reranked(home).reranked == 2  # from the place that was recorded
    move_to_another_machine()
    with Collection.open("c", home=home) as collection:
        found = collection.search(QUESTION, rerank="tokens")
        assert (found.reranked, found.results[0].id) == (0, "whale")
        for told in (repr(str(trap)), repr(fingerprint[:12]), "--tokens PATH", "tokens=",
                     f"STLIB_TRUSTED_MODELS='{fingerprint}'"):  # fmt: skip
            assert told in found.notes[0]
        with pytest.raises(RerankingFailed, match="was never used on this machine"):
            collection.evaluate({"q": QUESTION}, {"q": {"whale": 1}}, rerank="tokens")
        with pytest.raises(UntrustedModel, match="--tokens PATH"):
            collection.add([{"id": "new", "text": "A new one."}])
        # What needs no model of tokens goes on.
        assert collection.search(QUESTION).reranked is None
        assert collection.info().beside["tokens"]["model"] == str(trap)
        assert collection.verify().clean
        assert collection.delete(["bread"]) == ["bread"]


def test_given_by_hand_once_it_is_known(home, model, fingerprint, move_to_another_machine, tmp_path):
    move_to_another_machine()
    copy = shutil.copytree(model, tmp_path / "copied too")
    shutil.rmtree(model)
    assert reranked(home, tokens=str(copy)).reranked == 2
    assert reranked(home).reranked == 2  # from the copy, wherever the catalog says that it is


def test_another_model_in_its_place_is_noticed(home, model, fingerprint):
    shutil.rmtree(model)
    assert "which is gone: give --tokens PATH" in reranked(home).notes[0]
    save_letters(model, seed=1)
    (note,) = reranked(home).notes
    assert f"was made with the model of late interaction of fingerprint {fingerprint[:12]}" in note


def test_a_service_may_list_it(home, model, fingerprint, move_to_another_machine, monkeypatch):
    move_to_another_machine()
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", fingerprint)
    assert reranked(home).reranked == 2


def test_another_model_by_hand_is_refused(home, fingerprint, tmp_path):
    with pytest.raises(ModelMismatch, match="but --tokens is other"):
        reranked(home, tokens=save_letters(tmp_path / "other", seed=1))


def test_an_empty_name_is_not_the_working_folder(home, model, fingerprint, monkeypatch):
    monkeypatch.chdir(model)
    for role in ("sparse", "tokens"):
        with pytest.raises(BadInput, match=f"its name is empty; give --{role}"):
            load_beside(role, "")


def test_on_the_command_line(home, model, fingerprint, move_to_another_machine, capsys, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))
    move_to_another_machine()

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["search", "c", QUESTION, "--rerank", "tokens", *arguments])
        return (end.value.code, *capsys.readouterr())

    code, out, err = run()
    assert code == 0 and "not reranked" in out + err and "--tokens PATH" in out + err
    code, out, err = run("--tokens", str(model))
    assert (code, err, "2 documents reranked" in out) == (0, "", True)
    assert "2 documents reranked" in run()[1]
