"""Files of a folder on the page: found, opened at their place, edited, synced, gone; and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from indexing import Collection
from tests.unit.documents.made_pdf import Pdf, flowing

pytestmark = pytest.mark.browser

YEAST = "Yeast turns sugar into gas,\nand the gas lifts the dough in the tin."
CRUST = "The crust browns because sugars and proteins\nreact above 140 degrees."
STEAM = "Steam in the first minutes keeps the crust\nof a loaf soft, so that it can rise."
TERMS = "Permission is hereby granted to deal in the software without restriction, as it is."
HTML = "<title>Sourdough</title><script>document.title = 'hacked'</script><p>A starter is fed with flour.</p>"
SECRET = "the combination of the safe is 4711"


@dataclass(frozen=True)
class Kitchen:
    """A collection of its own, the folder that it is in step with, and the page over it."""

    home: Path
    name: str
    docs: Path
    url: str

    def asked(self, question, **more):
        return f"{self.url}/?{urlencode({'q': question, 'collection': self.name, **more})}"

    def stlib(self, *arguments):
        """What a person types in a terminal meanwhile."""
        code = "import sys; from app.cli import main; main(sys.argv[1:])"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--home", str(self.home)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def url(serve, home):
    with serve(home) as url:
        yield url


@pytest.fixture
def kitchen(home, url, tmp_path):
    """A folder of documents, and beside it what is nobody's business."""
    docs = tmp_path / "docs"
    for number in range(14):
        (docs / "licences" / f"{number}").mkdir(parents=True)
        (docs / "licences" / f"{number}" / "LICENSE.txt").write_text(TERMS)
    write_book(docs / "book.pdf", "A book on bread.", YEAST, CRUST)
    (docs / "oven.py").write_text("HEAT = 1\n" * 300 + "\n\ndef preheat_the_oven():\n    return 'hot'\n")
    (docs / "sourdough.html").write_text(HTML)
    (tmp_path / "secret.txt").write_text(SECRET)
    name = f"kitchen{uuid4().hex[:8]}"
    with Collection.create(name, home=home) as collection:
        collection.sync([docs])
    return Kitchen(home, name, docs, url)


def write_book(path, *pages):
    path.write_bytes(Pdf([flowing(page, size=14, step=18) for page in pages]).build())


def ask(page, question):
    box = page.get_by_role("textbox", name="Question")
    box.fill(question)
    box.press("Enter")
    expect(page.locator("[data-asked]")).to_have_attribute("data-asked", question)


def cards(page):
    return page.locator(".st-card")


def card_of(page, title):
    """The card of that title, with its buttons."""
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator("[class*=st-key-card-]").filter(has=heading).first


def open_original(page, title):
    card_of(page, title).get_by_role("button", name="Open", exact=True).first.click()
    return page.get_by_role("dialog")


def crumbs_of(page, title):
    return card_of(page, title).locator(".st-crumbs > span").first


def test_a_file_is_found_opened_at_its_page_edited_synced_and_gone(visit, kitchen):
    with visit(kitchen.asked("why does the crust brown")) as page:
        expect(crumbs_of(page, "book.pdf")).to_have_text("docs›book.pdf›page 3")
        window = open_original(page, "book.pdf")
        expect(window.get_by_text("Page 3 of 3")).to_be_visible()
        picture = window.get_by_role("img", name="Page 3, the passage is marked")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.naturalWidth") > 1000
        window.get_by_role("button", name="Page before").click()
        expect(window.get_by_text("Page 2 of 3")).to_be_visible()
        expect(window.get_by_role("img", name="Page 2")).to_be_visible()
        page.keyboard.press("Escape")

        write_book(kitchen.docs / "book.pdf", "A book on bread.", YEAST, CRUST, STEAM)
        (kitchen.docs / "rye.md").write_text(
            "# Rye\n\n## Ferment\n\nRye needs acid, or its crumb turns to glue.\n"
        )
        assert "1 added, 1 updated" in kitchen.stlib("sync", kitchen.name)
        ask(page, "what does steam do to a loaf")
        expect(crumbs_of(page, "book.pdf")).to_have_text("docs›book.pdf›page 4")
        expect(open_original(page, "book.pdf").get_by_text("Page 4 of 4")).to_be_visible()
        page.keyboard.press("Escape")
        ask(page, "why does rye need acid")
        expect(crumbs_of(page, "Rye")).to_have_text("docs›rye.md›Ferment")

        (kitchen.docs / "rye.md").unlink()
        kitchen.stlib("sync", kitchen.name, "--prune")
        ask(page, "does rye need acid")
        expect(cards(page).first).to_be_visible()
        expect(page.get_by_role("heading", name="Rye", exact=True)).to_have_count(0)


def test_code_is_opened_at_its_line(visit, kitchen, width_of, phone):
    with visit(kitchen.asked("preheat the oven"), **phone) as page:
        window = open_original(page, page.locator(".st-title [role=heading]").first.inner_text())
        marked = window.locator("[data-marked]")
        expect(marked.first).to_contain_text("def preheat_the_oven():")
        expect(marked.first.locator("span")).to_have_text("303")
        expect(marked.first).to_be_in_viewport()
        assert width_of(page) == 390


def test_html_is_only_handed_out(visit, kitchen):
    with visit(kitchen.asked("how is a starter fed")) as page:
        window = open_original(page, "Sourdough")
        with page.expect_download() as started:
            window.get_by_role("button", name="Download").click()
        download = started.value
        assert download.suggested_filename == "sourdough.html"
        assert "hacked" in Path(download.path()).read_text()
        served = page.request.get(download.url)
        assert served.headers["content-disposition"].startswith("attachment")
        assert served.headers["content-type"] == "application/octet-stream"
        assert page.title() == "how is a starter fed · stlib"
        assert window.locator("iframe, object, embed, script").count() == 0


def test_nothing_is_shown_over_a_link_planted_later(visit, kitchen, tmp_path):
    with visit(kitchen.asked("preheat the oven")) as page:
        title = page.locator(".st-title [role=heading]").first.inner_text()
        (kitchen.docs / "oven.py").unlink()
        (kitchen.docs / "oven.py").symlink_to(tmp_path / "secret.txt")
        window = open_original(page, title)
        expect(window.get_by_role("alert")).to_contain_text("without following a link")
        expect(window.get_by_role("button", name="Download")).to_have_count(0)
        assert SECRET not in page.content()


def test_a_copied_collection_shows_no_file_of_this_machine(visit, serve, kitchen, tmp_path, monkeypatch):
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "another machine"))
    copy = tmp_path / "copy"
    shutil.copytree(kitchen.home, copy)
    with (
        serve(copy) as url,
        visit(replace(kitchen, url=url).asked("preheat the oven", mode="keyword")) as page,
    ):
        window = open_original(page, page.locator(".st-title [role=heading]").first.inner_text())
        expect(window.get_by_role("alert")).to_contain_text("never confirmed on this machine")
        expect(window.get_by_role("button", name="Download")).to_have_count(0)


def test_what_says_the_same_is_one_card_and_more_pages_on(visit, kitchen):
    with visit(kitchen.asked("restriction of software")) as page:
        expect(page).to_have_title("restriction of software · stlib")
        expect(page.get_by_role("button", name="and 9 more like it")).to_be_visible()
        expect(cards(page)).to_have_count(1)
        page.get_by_role("button", name="Show more").click()
        more = page.get_by_role("button", name="and 13 more like it")
        expect(more).to_be_visible()
        expect(page.locator(".st-summary > summary")).to_contain_text("18 results in")
        page.wait_for_url("**k=20**")
        expect(cards(page)).to_have_count(5)
        more.click()
        expect(cards(page)).to_have_count(18)


def test_the_path_is_copied(visit, kitchen):
    allowed = ["clipboard-read", "clipboard-write"]
    with visit(kitchen.asked("preheat the oven"), permissions=allowed) as page:
        button = cards(page).first.get_by_role("button", name="Copy path")
        button.click()
        expect(cards(page).first.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == str(kitchen.docs / "oven.py")


def test_documents_of_one_file_are_one_card_where_that_is_wanted(visit, kitchen):
    (kitchen.docs / "oven.py").write_text(
        "".join(f"def bake_{n}_loaves():\n    return oven({n})\n\n\n" for n in range(6))
    )
    kitchen.stlib("sync", kitchen.name)
    with visit(kitchen.asked("bake loaves in the oven", mode="keyword")) as page:
        expect(cards(page)).not_to_have_count(1)
        page.get_by_text("Group by file", exact=True).click()
        page.wait_for_url("**group=1**")
        expect(page.get_by_role("button", name="more in this file")).to_have_count(1)
        expect(page.locator(".st-crumbs", has_text="oven.py")).to_have_count(1)
