"""Names and texts from outside are text on the page: nothing in them is fetched, run, or turned around."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from indexing import Collection

pytestmark = pytest.mark.browser

TURNED = "a\u202egnp.exe"
RIGHT_TO_LEFT = "שלום עולם 1"


@pytest.fixture(scope="module")
def host():
    """A host that pictures could be fetched from: its address, and the paths that it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def names(host):
    """Names of metadata fields, each of which Markdown or Streamlit would make something else of."""
    address, _ = host
    return [
        f"![field]({address}/field.png)",
        f'<img src="{address}/html.png">',
        ":red[x] :smile: -> $x$ `y` **b**",
        TURNED,
    ]


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory, host, names):
    folder = tmp_path_factory.mktemp("outside")
    picture = f"![value]({host[0]}/value.png)"
    with Collection.create("kitchen", home=folder) as collection:
        collection.add(
            {
                "id": f"{TURNED} {number}",
                "title": RIGHT_TO_LEFT if number else picture,
                "text": f"bread {number} {picture} {TURNED}",  # not one card of four alike
                "metadata": dict.fromkeys(names, f"{picture} {number % 2}"),
            }
            for number in range(4)
        )
    with serve(folder) as url:
        yield url


@contextmanager
def filters_of(visit, url):
    with visit(url) as page:
        page.get_by_text("Filters", exact=False).first.click()
        expect(page.get_by_test_id("stMultiSelect")).to_have_count(4)
        yield page


def test_field_names_and_values_are_shown_as_they_are_written(visit, address, host, names):
    """`visit` fails on every request to another host."""
    with filters_of(visit, f"{address}/?q=bread") as page:
        labels = page.get_by_test_id("stMultiSelect").get_by_test_id("stWidgetLabel")
        expect(labels).to_have_text([name.replace("\u202e", r"\u202e") for name in sorted(names)])
        expect(page.get_by_test_id("stWidgetLabel").locator("img")).to_have_count(0)
        page.get_by_role("combobox").last.click()
        expect(
            page.get_by_role("option").filter(has_text=f"![value]({host[0]}/value.png) 1 (2)")
        ).to_be_visible()
        page.get_by_role("option").filter(has_text="/value.png) 1 (2)").click()
        page.wait_for_url("**f.**")
        expect(page.locator(".st-card")).to_have_count(2)
        expect(page.locator(".st-card img")).to_have_count(0)
    assert host[1] == []


def test_a_collection_that_an_address_names_is_text(visit, address, host):
    name = f"![x]({host[0]}/collection.png)"
    with visit(f"{address}/?collection={quote(name)}&q=bread") as page:
        expect(page.get_by_role("alert")).to_contain_text(f"There is no collection '{name}' here")
    assert host[1] == []


def test_no_name_turns_what_stands_around_it(visit, address):
    with visit(f"{address}/?q=bread") as page:
        expect(page.locator(".st-card")).to_have_count(4)
        for card in page.locator(".st-card").all():
            expect(card.locator(".st-snippet")).to_contain_text(r"a\u202egnp.exe")
            card.get_by_text("Details").click()
            identity = card.locator("tr").filter(has=page.get_by_text("id", exact=True)).locator("td")
            expect(identity).to_contain_text(r"a\u202egnp.exe")
            assert identity.locator("bdi").evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
        title = page.get_by_role("heading", name=RIGHT_TO_LEFT).first
        assert title.evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
        assert "\u202e" not in page.content()
