"""The search page, driven without a browser over real collections."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import read_impressions
from app.settings import LOOPBACK, Location
from app.ui.server import ServerFailed, free_port, is_healthy, running_server
from indexing import Collection

PAGE = Path(__file__).resolve().parents[2] / "app" / "ui" / "main.py"


@pytest.fixture
def page(home, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))

    def open_page(**parameters):
        app = AppTest.from_file(str(PAGE), default_timeout=30)
        for name, value in parameters.items():
            app.query_params[name.replace("__", ".")] = value
        app.run()
        assert not app.exception
        return app

    return open_page


@pytest.fixture
def animals(home):
    kinds = ["insect"] + ["mammal"] * 5 + ["bird"] * 6
    names = "bee dog cat cow pig rat hen owl jay tit auk emu".split()
    with Collection.create("animals", home=home) as collection:
        collection.add(
            {"id": name, "title": name.title(), "text": f"The {name} eats honey.", "metadata": {"kind": kind}}
            for name, kind in zip(names, kinds, strict=True)
        )


def html(app):
    return "\n".join(element.proto.body for element in app.get("html"))


def titles(app):
    return re.findall(r'role="heading" aria-level="2">([^<]*)<', html(app))


def address(app):
    """The page's address; releases of Streamlit differ in whether a single value is a list."""
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def test_without_collections_it_says_how_to_begin(page):
    assert "stlib index notes ~/Documents/notes" in html(page())


def test_a_damaged_collection_is_named_and_the_others_are_searched(page, animals, home):
    torn = home / "collections" / "torn" / "catalog.sqlite"
    torn.parent.mkdir()
    torn.write_bytes(b"no database " * 100)
    app = page(q="bee")
    assert titles(app)[0] == "Bee"
    assert "Collection &#x27;torn&#x27; is left out: " in html(app)


def test_a_model_that_this_machine_does_not_know_is_named_and_words_are_found(page, animals, home):
    with closing(sqlite3.connect(home / "collections/animals/catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE generation SET model = '<img src=//evil>/m', fingerprint = ?", ("0" * 64,))
    shown = html(page(q="bee"))
    assert "was never used on this machine" in shown
    assert "&lt;img src=//evil&gt;/m" in shown and "<img src=//evil" not in shown
    assert titles(page(q="bee", mode="keyword")) == ["Bee"]


def test_a_misspelt_field_in_a_filter_is_named(page, animals):
    expected = "no document has the field &#x27;kin&#x27;; did you mean &#x27;kind&#x27;?"
    assert expected in html(page(q="bee", filter="kin = 'insect'"))
    assert expected in html(page(q="bee", filter="kin != 'insect'"))


def test_a_reranker_that_fails_is_no_matter_of_the_filter(page, animals, home, monkeypatch):
    monkeypatch.setenv("STLIB_RERANK", str(home))
    shown = html(page(q="zebra", mode="keyword", rerank="1"))
    assert "<p>not reranked: reranker " in shown
    assert "No document has any of these words." in shown
    assert "filter" not in shown.partition("<p>not reranked: ")[2]


def test_an_empty_question_shows_the_size(page, animals):
    assert "12 documents." in html(page())


def test_a_question_is_answered_and_lands_in_the_address(page, animals):
    app = page()
    app.text_input(key="q").input("bee").run()
    assert titles(app)[0] == "Bee"
    assert address(app) == {"q": "bee"}


def test_an_address_opens_the_same_page(page, animals):
    app = page(q="honey", mode="keyword", f__kind="insect")
    assert titles(app) == ["Bee"]
    assert app.text_input(key="q").value == "honey"
    assert app.multiselect(key="pick kind").value == ["insect"]
    assert "1 result in" in html(app) and "kind: insect" in html(app)


def test_filters_narrow_and_clear_again(page, animals):
    app = page(q="honey")
    app.multiselect(key="pick kind").select("insect").run()
    assert titles(app) == ["Bee"]
    assert address(app)["f.kind"] == "insect"
    app.text_input(key="filter").input("kind != 'insect'").run()
    assert titles(app) == [] and "Clear a filter" in html(app)
    next(button for button in app.button if button.label == "Clear").click().run()
    assert len(titles(app)) == 10 and address(app) == {"q": "honey"}


def test_a_wrong_filter_shows_where(page, animals):
    app = page(q="honey", filter="kind = x")
    assert "position 8" in html(app) and "kind = x\n       ^" in html(app)


def test_show_more_shows_more(page, animals, home):
    app = page(q="honey")
    assert len(titles(app)) == 10
    next(button for button in app.button if button.label == "Show more").click().run()
    assert len(titles(app)) == 12 and address(app)["k"] == "20"
    place = feedback_place(Location(home))
    feedback_log(place).flush()
    [first, more] = read_impressions(place)
    assert [(one.offset, one.k, len(one.shown)) for one in (first, more)] == [(0, 10, 10), (10, 10, 2)]
    assert [one.document.title() for one in (*first.shown, *more.shown)] == titles(app)
    assert [one.rank for one in more.shown] == [11, 12]
    assert titles(page(q="honey", k="20")) == titles(app)


def test_passages_that_say_the_same_are_one_card(page, home):
    with Collection.create("copies", home=home) as collection:
        text = "Permission is hereby granted to deal in the software without restriction."
        collection.add({"id": f"{n}/LICENSE", "text": text} for n in range(7))
        collection.add([{"id": "other", "text": "A software licence says what is allowed."}])
    app = page(q="software without restriction")
    first, *rest = titles(app)
    assert rest == ["other"]
    button = next(button for button in app.button if button.label == "and 6 more like it")
    button.click().run()
    assert titles(app) == [first, *(f"{n}/LICENSE" for n in range(7) if f"{n}/LICENSE" != first), "other"]
    assert "8 results in" in html(app)
    next(button for button in app.button if button.label == "Hide 6 more like it").click().run()
    assert titles(app) == [first, "other"]


def test_more_goes_on_until_there_is_something_new(page, home):
    with Collection.create("copies", home=home) as collection:
        text = "Permission is hereby granted to deal in the software without restriction."
        collection.add({"id": f"{n}/LICENSE", "text": text} for n in range(25))
        collection.add([{"id": "other", "text": "A software licence says what is allowed."}])
    app = page(q="to deal in the software without restriction", mode="keyword")
    assert len(titles(app)) == 1
    next(button for button in app.button if button.label == "Show more").click().run()
    assert titles(app)[-1] == "other" and address(app)["k"] == "30"
    assert "26 results in" in html(app) and "and 24 more like it" in [one.label for one in app.button]


def test_a_snippet_begins_after_its_title(page, home):
    with Collection.create("titled", home=home) as collection:
        collection.add([{"id": "x", "title": "Rising dough", "text": "Rising dough\n\nYeast makes gas."}])
    shown = html(page(q="yeast"))
    assert titles(page(q="yeast")) == ["Rising dough"]
    assert re.search(r'class="st-snippet" dir="auto"><mark>Yeast</mark> makes gas', shown)


def test_a_second_collection_can_be_chosen(page, animals, home):
    with Collection.create("birds", home=home) as collection:
        collection.add([{"id": "1", "title": "Penguin", "text": "Penguins swim."}])
    app = page(q="honey", f__kind="insect")
    assert titles(app) == ["Bee"]
    app.selectbox[0].select("birds").run()
    assert address(app) == {"q": "honey", "collection": "birds"}
    assert titles(app) == ["Penguin"]


def test_an_unknown_collection_is_said(page, animals):
    assert "There is no collection &#x27;gone&#x27; here" in html(page(collection="gone", q="x"))


def test_a_collection_made_anew_under_its_name_is_seen(page, animals, home):
    assert titles(page(q="honey", f__kind="insect")) == ["Bee"]
    Collection.open("animals", home=home).drop()
    with Collection.create("animals", home=home) as collection:
        collection.add([{"id": "1", "title": "Wasp", "text": "Wasps steal honey."}])
    assert titles(page(q="honey")) == ["Wasp"]


@pytest.mark.parametrize("greeting", [b"SSH-2.0-other\r\n", b"", b"HTTP/1.1 404 Not Found\r\n\r\n"])
def test_another_server_on_the_port_is_not_taken_for_the_page(greeting):
    with socket.create_server((LOOPBACK, 0)) as listener:

        def answer():
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(greeting)

        answering = threading.Thread(target=answer)
        answering.start()
        assert not is_healthy(LOOPBACK, listener.getsockname()[1])
        answering.join()


def test_a_server_that_cannot_start_fails_at_once(tmp_path, home):
    with socket.create_server((LOOPBACK, 0)) as taken, (tmp_path / "stderr").open("w+") as stderr:
        port = taken.getsockname()[1]
        assert free_port(port) != port
        with (
            pytest.raises(ServerFailed, match="ended with code"),
            running_server(Location(home), port, stderr=stderr),
        ):
            pytest.fail("it answered on a taken port")
        stderr.seek(0)
        assert str(port) in stderr.read()
