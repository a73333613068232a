"""A real Chromium over a real server over a real collection."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from app.settings import Location
from app.ui.server import ServerFailed, free_port, running_server

ARGUMENTS = [
    "--no-sandbox",  # the tests also run as root, in containers
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 30_000  # milliseconds; a busy machine is slow


def find_chromium() -> str | None:
    """The Chromium that CHROME names, or one on the path."""
    named = os.environ.get("CHROME")
    if named:
        return shutil.which(named)
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium():
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def phone():
    """Options of `visit` for a window in which every page is narrow."""
    return {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture
def width_of():
    """How wide a page is, in pixels, with what one would have to scroll to: Streamlit scrolls in a box."""
    return lambda page: page.evaluate(
        "Math.max(document.documentElement.scrollWidth, document.querySelector('.stMain').scrollWidth)"
    )


@pytest.fixture(scope="session")
def serve():
    """Context manager: the address of a search page over the collections of a folder."""
    return _served


@contextmanager
def _served(folder):
    with (folder / "stderr").open("w+") as stderr:
        try:
            with running_server(Location(folder), free_port(), stderr=stderr) as (url, process):
                yield url
                assert process.poll() is None, "the server died"
        except ServerFailed as failure:
            stderr.seek(0)
            pytest.fail(f"{failure}:\n{stderr.read()}")


@pytest.fixture
def visit(chromium):
    """Context manager: a page in a fresh profile; fails on a console error or a request to anywhere else.

    Keyword arguments go to `Browser.new_context`.
    """

    @contextmanager
    def visited(url, **options):
        complaints = []
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if _is_local(asked.url, url) else complaints.append(asked.url))
        page.goto(url)
        yield page
        context.close()
        assert complaints == []

    return visited


def _is_local(url, page):
    host = urlsplit(page).netloc
    return url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:"))
