"""A model that a catalog names is opened only if this machine knows it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from indexing import Collection
from indexing.errors import BadInput, ModelMismatch, RerankingFailed, UntrustedModel
from indexing.models.encoders import load_encoder, load_trusted_encoder
from indexing.models.rerankers import (
    load_reranker,
    load_trusted_reranker,
    remember_reranker,
    reranker_fingerprint,
)
from indexing.models.trust import recorded_source, remember_model
from indexing.storage.machine import state_folder
from stlib.runtime import BUNDLED_RERANKER_NAME
from stlib.runtime.bundled import default_model_path, default_reranker_path

pytestmark = pytest.mark.usefixtures("another_machine")

QUESTION = "how do whales breathe"
DOCUMENTS = [
    {"id": "whale", "text": "Whales breathe air through a blowhole."},
    {"id": "bread", "text": "Dough rises because yeast makes gas."},
]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A model that is not the bundled one, as it has a prompt; its fingerprint; and a home made with it."""
    place = tmp_path_factory.mktemp("original")
    folder = shutil.copytree(default_model_path(), place / "a model")
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "prompts": {"query": "question: "}}), "utf-8")
    with Collection.create("c", folder, home=place / "home") as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
        return folder, collection.encoder.fingerprint, place / "home"


@pytest.fixture
def model(original, tmp_path):
    """The folder of that model, of this test alone."""
    return shutil.copytree(original[0], tmp_path / "a model")


@pytest.fixture
def fingerprint(original):
    """That model's."""
    return original[1]


@pytest.fixture
def made(original, model, home):
    """A home with a collection of that model, which was made on this machine."""
    shutil.copytree(original[2], home)
    set_catalog(home, model=str(model))
    remember_model(original[1], str(model))
    return home


@pytest.fixture
def move_to_another_machine(monkeypatch, tmp_path):
    def move():
        monkeypatch.setenv("STLIB_STATE", str(tmp_path / "a third machine"))

    return move


def answer(home, **given):
    with Collection.open("c", home=home, **given) as collection:
        return [result.id for result in collection.search(QUESTION, 1, mode="semantic").results]


def set_catalog(home, **values):
    """What a stranger writes into it."""
    with closing(sqlite3.connect(home / "collections/c/catalog.sqlite")) as database, database:
        for column, value in values.items():
            database.execute(f"UPDATE generation SET {column} = ?", (value,))


# --- where a model was used, and where not -------------------------------------------------------------


def test_a_model_that_was_used_here_by_hand_is_found_again(home, model, fingerprint):
    with Collection.create("c", model, home=home) as collection:
        collection.add(DOCUMENTS)
    assert recorded_source(fingerprint) == str(model)
    assert answer(home) == ["whale"]


def test_a_copied_home_on_another_machine_opens_nothing(made, model, move_to_another_machine, fingerprint):
    move_to_another_machine()
    with Collection.open("c", home=made) as collection:
        with pytest.raises(UntrustedModel) as caught:
            collection.search(QUESTION)
        message = str(caught.value)
        for told in (repr(str(model)), repr(fingerprint[:12]), "--model PATH", "model=",
                     f"STLIB_TRUSTED_MODELS='{fingerprint}'"):  # fmt: skip
            assert told in message
        # What needs no model goes on.
        assert collection.search("blowhole", 1, mode="keyword").results[0].id == "whale"
        assert collection.info().documents == 2
        assert collection.verify().errors == []
        assert collection.delete(["bread"]) == ["bread"]
        with pytest.raises(UntrustedModel):
            collection.add([{"id": "new", "text": "A new one."}])


def test_given_by_hand_once_it_is_known(made, model, move_to_another_machine, tmp_path):
    move_to_another_machine()
    copy = shutil.copytree(model, tmp_path / "copied too")
    shutil.rmtree(model)
    assert answer(made, model=str(copy)) == ["whale"]
    assert answer(made) == ["whale"]  # from the copy, wherever the catalog says that it is


def test_the_recorded_place_counts_and_not_that_of_the_catalog(made, model, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    os.mkfifo(trap / "modules.json")
    set_catalog(made, model=str(trap))
    assert answer(made) == ["whale"]


def test_a_relative_path_by_hand_is_recorded_as_an_absolute_one(
    made, model, move_to_another_machine, monkeypatch
):
    move_to_another_machine()
    monkeypatch.chdir(model.parent)
    assert answer(made, model=model.name) == ["whale"]
    monkeypatch.chdir("/")
    assert answer(made) == ["whale"]


def test_another_model_in_the_recorded_place_is_noticed(made, model):
    (model / "config_sentence_transformers.json").unlink()
    with pytest.raises(ModelMismatch, match="was made with"):
        answer(made)


def test_the_bundled_model_needs_no_record(home, move_to_another_machine):
    with Collection.create("c", home=home) as collection:
        collection.add(DOCUMENTS)
    move_to_another_machine()
    assert answer(home) == ["whale"]
    assert not (state_folder() / "models.json").exists()


def test_the_bundled_name_with_another_fingerprint_is_the_bundled_model(home, monkeypatch, tmp_path, model):
    """Nothing else of that name is opened, wherever the program stands."""
    with Collection.create("c", home=home) as collection:
        collection.add(DOCUMENTS)
    model.rename(tmp_path / "stlib-static-en")
    monkeypatch.chdir(tmp_path)
    assert answer(home) == ["whale"]
    set_catalog(home, fingerprint="0" * 64)
    with pytest.raises(ModelMismatch, match="made with stlib-static-en"):
        answer(home)


def test_a_moved_model_asks_for_its_new_place(made, model, tmp_path):
    moved = model.rename(tmp_path / "moved")
    with pytest.raises(BadInput, match="a model', which is gone: give --model PATH with its new place once"):
        answer(made)
    assert answer(made, model=moved) == ["whale"]
    assert answer(made) == ["whale"]


def test_a_model_given_as_an_object_is_known_by_where_it_came_from(home, model, fingerprint):
    with Collection.create("c", load_encoder(model), home=home) as collection:
        collection.add(DOCUMENTS)
    assert recorded_source(fingerprint) == str(model)
    assert answer(home) == ["whale"]


def test_an_object_does_not_take_the_place_of_a_path(model):
    assert remember_model("f", "/by/hand")
    assert remember_model("f", "/of/an/object", replace=False)
    assert recorded_source("f") == "/by/hand"
    assert remember_model("f", "/moved")
    assert recorded_source("f") == "/moved"


def test_where_the_state_cannot_be_kept_a_model_by_hand_serves(made, model, move_to_another_machine, caplog):
    move_to_another_machine()
    state_folder().write_text("in the way")
    assert answer(made, model=model) == ["whale"]
    assert "cannot be remembered" in caplog.text
    with pytest.raises(UntrustedModel):
        answer(made)


def test_a_damaged_record_is_set_aside(made, caplog):
    (state_folder() / "models.json").write_bytes(b"\0" * 50)
    with pytest.raises(UntrustedModel):
        answer(made)
    assert "models.json is damaged" in caplog.text


# --- services ------------------------------------------------------------------------------------------


def test_a_service_lists_what_it_trusts(made, model, move_to_another_machine, monkeypatch, fingerprint):
    move_to_another_machine()
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", f"abc, {fingerprint}")
    assert answer(made) == ["whale"]
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", fingerprint[:12])  # which another one could share
    with pytest.raises(UntrustedModel):
        answer(made)


def test_a_service_notices_another_model_of_that_fingerprint(
    made, model, move_to_another_machine, monkeypatch, fingerprint
):
    move_to_another_machine()
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", fingerprint)
    set_catalog(made, model=str(default_model_path()))
    with pytest.raises(ModelMismatch):
        answer(made)


@pytest.mark.parametrize("name", ["a model", "./a model", "../a model", "models/../a model", ""])
def test_nothing_is_looked_for_in_the_working_folder(
    made, model, name, monkeypatch, move_to_another_machine, fingerprint
):
    move_to_another_machine()
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", fingerprint)
    monkeypatch.chdir(model.parent)
    set_catalog(made, model=name)
    with pytest.raises(UntrustedModel, match="in the working folder"):
        answer(made)


def test_a_name_on_the_hub_is_no_folder_of_the_same_name(model, tmp_path, monkeypatch, fingerprint):
    (tmp_path / "owner").mkdir()
    model.rename(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", fingerprint)
    with pytest.raises(UntrustedModel, match="in the working folder"):
        load_trusted_encoder("owner/name", fingerprint)


# --- nobody is asked, nothing waits ---------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """Writes down who asks for what."""

    asked: list  # set for each test

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_error(404)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Hub,), {"asked": []}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


ASK = """
import sys
from indexing import Collection
from indexing.errors import UntrustedModel
with Collection.open("c", home=sys.argv[1]) as collection:
    print([result.id for result in collection.search("blowhole", mode="keyword").results])
    for mode in ("semantic", "hybrid"):
        try:
            collection.search("how do whales breathe", mode=mode)
        except UntrustedModel:
            print("refused")
loaded = {name.split(".")[0] for name in sys.modules}
print(sorted(loaded & {"huggingface_hub", "torch", "requests", "httpx"}))
"""


def ask(home, hub, tmp_path, **environment):
    endpoint = f"http://127.0.0.1:{hub.server_address[1]}"
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_TOKEN": "hf_secretsecretsecretsecretsecret",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-c", ASK, str(home)],
        capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path,
    )  # fmt: skip


def test_a_catalog_that_names_a_model_of_the_hub_asks_nobody(made, hub, tmp_path, move_to_another_machine):
    move_to_another_machine()
    for name in ("evil/model", f"http://127.0.0.1:{hub.server_address[1]}/evil"):
        set_catalog(made, model=name)
        done = ask(made, hub, tmp_path, STLIB_STATE=str(tmp_path / "of a stranger"))
        assert done.stdout == "['whale']\nrefused\nrefused\n[]\n", done.stderr
        assert hub.RequestHandlerClass.asked == []


def test_the_listening_hub_would_have_noticed(hub, tmp_path):
    """The test above listens where the client of the hub asks, with a token that it would send."""
    code = "from stlib import SentenceTransformer; SentenceTransformer('evil/model')"
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_TOKEN": "hf_secretsecretsecretsecretsecret",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
    }
    subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=120, env=environment, check=False
    )
    assert any("evil/model" in path and token for path, token in hub.RequestHandlerClass.asked)


def pipe(path):
    os.mkfifo(path)


def listening(path):
    with closing(socket.socket(socket.AF_UNIX)) as end:
        end.bind(str(path))


def link_to_a_pipe(path):
    os.mkfifo(path.with_name("the pipe"))
    path.symlink_to("the pipe")


def link_to_a_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, listening, link_to_a_pipe, link_to_a_device])
@pytest.mark.parametrize("known", [False, True])
def test_what_would_be_waited_for_is_refused_at_once(made, tmp_path, make, known, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the address of a socket may not be long
    trap = tmp_path / "trap"
    make(trap.relative_to(tmp_path) if make is listening else trap)
    set_catalog(made, model=str(trap), fingerprint="f" * 64)
    if known:
        remember_model("f" * 64, str(trap))
    with pytest.raises(BadInput if known else UntrustedModel):
        answer(made)
    with pytest.raises(
        BadInput, match=r"trap is a (pipe|socket|device)\b.*, and a model consists of plain files"
    ):
        answer(made, model=str(trap))
    with pytest.raises(RerankingFailed, match=r"is a (pipe|socket|device)"):
        load_reranker(str(trap))


@pytest.mark.parametrize("name", ["modules.json", "0_StaticEmbedding/tokenizer.json", "onnx/model.onnx"])
@pytest.mark.parametrize("make", [pipe, link_to_a_device])
def test_so_is_a_folder_that_holds_it(model, name, make):
    path = model / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    make(path)
    with pytest.raises(BadInput, match=r"is a (pipe|socket|device)"):
        load_encoder(model)
    with pytest.raises(RerankingFailed, match=r"is a (pipe|socket|device)"):
        load_reranker(model)


def test_a_file_beyond_any_model_s_size_is_refused(model):
    with (model / "modules.json").open("r+b") as file:
        file.truncate(600 << 20)  # holds no bytes on the disk
    with pytest.raises(BadInput, match=r"modules\.json has 0\.59 GiB, and a model's \.json at most"):
        load_encoder(model)


# --- rerankers -----------------------------------------------------------------------------------------


@pytest.fixture
def reranker(tmp_path):
    """The folder of a reranker that is not the bundled one, as it has another share."""
    folder = shutil.copytree(default_reranker_path(), tmp_path / "a reranker")
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**settings, "weight": 0.5}), "utf-8")
    return folder


def test_a_reranker_that_a_catalog_names_is_judged_alike(reranker, monkeypatch, move_to_another_machine):
    by_hand = load_reranker(reranker)
    fingerprint = reranker_fingerprint(by_hand)
    assert remember_reranker(reranker, by_hand) == str(reranker)
    assert load_trusted_reranker("/somewhere/else", fingerprint).weight == 0.5
    reranker.rename(reranker.with_name("moved"))
    with pytest.raises(RerankingFailed, match="which is gone: give --rerank PATH"):
        load_trusted_reranker("/somewhere/else", fingerprint)
    reranker.with_name("moved").rename(reranker)
    move_to_another_machine()
    with pytest.raises(
        UntrustedModel, match=r"reranker '/somewhere/else'.*--rerank PATH \(by program rerank=\)"
    ):
        load_trusted_reranker("/somewhere/else", fingerprint)
    monkeypatch.setenv("STLIB_TRUSTED_MODELS", fingerprint)
    assert load_trusted_reranker(str(reranker), fingerprint).weight == 0.5
    with pytest.raises(ModelMismatch, match="was chosen, but in stlib-rerank-en is now"):
        load_trusted_reranker(BUNDLED_RERANKER_NAME, fingerprint)


def test_the_bundled_reranker_needs_no_record():
    bundled = load_reranker(BUNDLED_RERANKER_NAME)
    assert remember_reranker(BUNDLED_RERANKER_NAME, bundled) == BUNDLED_RERANKER_NAME
    found = load_trusted_reranker(BUNDLED_RERANKER_NAME, reranker_fingerprint(bundled))
    assert found.scores(QUESTION, ["whales breathe"])[0] == bundled.scores(QUESTION, ["whales breathe"])[0]


def test_a_reranker_without_a_fingerprint_is_named():
    class Lengths:
        name = "lengths"

        def scores(self, query, passages):
            return [len(passage) for passage in passages]

    assert remember_reranker(Lengths(), Lengths()) is None
    with pytest.raises(RerankingFailed, match="'lengths' has no fingerprint"):
        reranker_fingerprint(Lengths())


def test_what_decides_the_scores_of_an_onnx_reranker_is_in_its_fingerprint(ms_marco, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(ms_marco, folder)
    first = reranker_fingerprint(load_reranker(folder))
    assert first == reranker_fingerprint(load_reranker(ms_marco))
    (graph,) = folder.rglob("*.onnx")
    content = graph.read_bytes()
    graph.write_bytes(content + b"\x32\x01x")
    assert reranker_fingerprint(load_reranker(folder)) != first
    graph.write_bytes(content)
    assert reranker_fingerprint(load_reranker(folder)) == first
    (folder / "config_sentence_transformers.json").write_text(
        '{"prompts": {"a": "x"}, "default_prompt_name": "a"}'
    )
    assert reranker_fingerprint(load_reranker(folder)) != first
