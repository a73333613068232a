"""A page that asks a service in place of a home: with a key, through a restart, and with nothing run."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import read_sayings
from app.settings import Location
from app.ui.server import free_port, running_server
from indexing import Collection
from tests.services.api import new_key, running_service

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=hacked=1><script>hacked=1</script>![x](javascript:hacked=1)"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A collection in step with a folder, which has a hostile file among others."""
    home, docs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("docs")
    (docs / "bees.txt").write_text("Bees make honey in the hive.\n")
    for number in range(3):
        (docs / f"<b onclick=hacked=1>{number}.md").write_text(f"# {HOSTILE} {number}\n\nhoney {HOSTILE}\n")
    with Collection.create("animals", home=home) as collection:
        collection.sync([docs])
        collection.update_metadata({"bees.txt": {HOSTILE: HOSTILE}})
        collection.create_serving(collection.settings(), note=HOSTILE)
    return home


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def serving(home, port):
    """Context manager: the service, which others find at one address whenever it runs."""

    @contextmanager
    def served():
        with running_service(home, port=port, workers=1, keys="required") as service:
            yield service

    return served


@pytest.fixture(scope="module")
def url(port, tmp_path_factory):
    """A page without a key of its own; it lives while the service does not."""
    with pytest.MonkeyPatch.context() as patch, (tmp_path_factory.mktemp("page") / "stderr").open("w") as log:
        patch.setenv("STLIB_SERVER", f"http://127.0.0.1:{port}")
        with running_server(Location(), free_port(), stderr=log) as (url, _):
            yield url


def type_key(page, key):
    page.get_by_role("textbox", name="Your key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def go_to(page, name):
    page.get_by_role("link", name=name, exact=True).click()


def test_a_person_with_a_key_does_everything_and_nothing_of_others_runs(visit, url, home, serving):
    with serving(), visit(f"{url}/?q=honey") as page:
        expect(page.get_by_text("asks for a key")).to_be_visible()
        type_key(page, "stlib_wrong")
        expect(page.get_by_role("alert")).to_contain_text("refuses this key")
        type_key(page, new_key(home, f"ann {HOSTILE}"[:90], scope="admin"))
        expect(page.locator(".st-card")).to_have_count(4)
        bees = page.locator("[class*=st-key-card]").filter(has_text="Bees make")
        bees.get_by_role("button", name="This is the one").click()
        expect(bees.get_by_text("You: this is the one")).to_be_visible()
        feedback_log(feedback_place(Location(home))).flush()
        [saying] = read_sayings(feedback_place(Location(home)))
        assert (saying.document, saying.kind, saying.who[:3]) == ("bees.txt", "answer", "ann")

        bees.get_by_role("button", name="Open", exact=True).click()
        window = page.get_by_role("dialog")
        expect(window.locator("[data-marked] code")).to_have_text("Bees make honey in the hive.")
        with page.expect_download() as started:
            window.get_by_role("button", name="Download").click()
        assert started.value.suggested_filename == "bees.txt"
        page.keyboard.press("Escape")

        go_to(page, "Collections")
        name = f"<u onmouseover=hacked=1>x{HOSTILE[:20]}.txt".replace("/", "")
        page.locator("input[type=file]").set_input_files(
            [{"name": name, "mimeType": "text/plain", "buffer": b"Iron rusts."}]
        )
        expect(page.get_by_text("11.0B")).to_be_visible()
        page.get_by_role("button", name="Read these files").click()
        expect(page.locator(".st-figures b").first).to_have_text("5")
        for other, drawn in (
            ("Jobs", "Done"),
            ("Improve", "What answered when"),
            ("Evaluate", "Nothing was"),
        ):
            go_to(page, other)
            expect(page.get_by_text(drawn).first).to_be_visible()
        assert page.evaluate("typeof hacked") == "undefined"
        assert page.locator("img[src=x], b[onclick], u[onmouseover], a[href^=javascript]").count() == 0


@pytest.mark.long
def test_a_service_that_goes_is_named_and_the_page_goes_on_once_it_is_back(
    visit, url, home, serving, phone, width_of
):
    with visit(f"{url}/?q=honey", **phone) as page:
        with serving():
            type_key(page, new_key(home, "reader"))
            expect(page.locator(".st-card").first).to_be_visible()
            expect(page.get_by_role("button", name="Useful")).to_have_count(0)
        page.get_by_text("Group by file").click()
        expect(page.get_by_role("alert")).to_contain_text("does not answer: it is not running")
        assert width_of(page) == 390
        with serving():
            expect(page.locator(".st-card").first).to_be_visible()  # by itself, and with the same key
