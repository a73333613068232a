"""Who is let in to a page, driven without a browser: nobody by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from indexing import Collection

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
