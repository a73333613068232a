"""Who is let in to a page, driven without a browser: nobody by mistake."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.facade.keys import BadKey, key_caller
from app.facade.roles import Person
from app.remote.errors import ServiceAway
from app.settings import Location
from app.ui import entrance
from indexing import Collection
from tests.services.api import new_key, running_service

PAGE = Path(__file__).resolve().parents[2] / "app" / "ui" / "main.py"


@pytest.fixture
def shown(home, monkeypatch):
    """Opens a page in an environment and gives what stands on it."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    with Collection.create("secret", home=home) as collection:
        collection.add([{"id": "bee", "text": "Bees make honey."}])

    def open_page(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(PAGE), default_timeout=30)
        app.query_params["q"] = "honey"
        app.run()
        assert not app.exception
        return "\n".join(element.proto.body for element in app.get("html"))

    return open_page


@pytest.fixture
def connected():
    """The connection that pages have to a service, closed at the end."""
    made = []
    yield lambda url: made.append(entrance._connect(url)) or made[-1]
    for connection in made:
        connection.close()
    entrance._connect.clear()


def test_without_roles_and_a_service_everybody_at_this_machine_is_let_in(shown):
    assert "Bees make honey" in shown().replace("<mark>", "").replace("</mark>", "")


def test_where_roles_are_given_and_nobody_can_sign_in_nobody_gets_in(shown):
    page = shown(STLIB_ROLES="editors=write")
    assert "STLIB_ROLES gives people roles here, and signing in is not set up" in page
    assert "secret" not in page.partition("</style>")[2] and "honey" not in page


def test_wrong_roles_let_nobody_in(shown):
    page = shown(STLIB_ROLES="editors=everything")
    assert "write role=scope, with one of read, write, admin" in page and "honey" not in page


def test_a_service_that_is_away_shows_nothing_of_a_home(shown):
    page = shown(STLIB_SERVER="http://127.0.0.1:9")
    assert "The service at http://127.0.0.1:9 does not answer" in page and "honey" not in page


def test_a_key_file_that_cannot_be_read_is_named(shown, tmp_path):
    page = shown(STLIB_SERVER="http://127.0.0.1:9", STLIB_SERVER_KEY_FILE=str(tmp_path / "none"))
    assert "STLIB_SERVER_KEY_FILE names a file that cannot be read" in page


def test_a_key_of_scope_admin_is_not_lent_to_everybody_unasked(shown, home, connected):
    with running_service(home, workers=1, keys="required") as service:
        page = {
            scope: shown(STLIB_SERVER=service.url, STLIB_SERVER_KEY=new_key(home, scope=scope))
            for scope in ("admin", "read")
        }
        wanted = shown(STLIB_SERVER_KEY=new_key(home, scope="admin"), STLIB_ADMIN_FOR_ALL="1")
        connected(service.url)
    assert "everybody who reaches it might do everything" in page["admin"]
    assert "honey" not in page["admin"].partition("</style>")[2]
    for text in (page["read"], wanted):
        assert "Bees make honey" in text.replace("<mark>", "").replace("</mark>", "")


def test_a_key_whose_person_left_while_nobody_answered_is_ended_later(home, connected, monkeypatch):
    monkeypatch.setattr(entrance, "_keys", {})
    monkeypatch.setattr(entrance, "_to_end", {})
    monkeypatch.setenv("STLIB_SERVER_KEY", new_key(home, "page", scope="admin"))
    ann = Person("ann", "read", 0.0, time.time() + 3600)
    with running_service(home, workers=1, keys="required") as service:
        monkeypatch.setenv("STLIB_SERVER", service.url)
        text = entrance._key_of(connected(service.url), ann)
        port = service.port
    with pytest.raises(ServiceAway):
        entrance.forget_person(ann)
    assert key_caller(Location(home), text).name == "ann"
    with running_service(home, workers=1, keys="required", port=port):
        entrance._key_of(connected(service.url), replace(ann, name="bob"))
    with pytest.raises(BadKey):
        key_caller(Location(home), text)
