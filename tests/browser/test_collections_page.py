"""A person makes a collection, fills it, sees it done, checks it and deletes it: in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from app.facade.jobs import list_jobs
from app.settings import Location
from indexing import Collection

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty home, and a folder that may be read."""
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "bees.txt").write_text("Bees make honey.")
    monkeypatch.setenv("STLIB_FOLDERS", str(papers))
    home = tmp_path / "home"
    home.mkdir()
    return home


def go_to(page, name):
    """By the link at the top, as a person does."""
    page.get_by_role("link", name=name, exact=True).click()


def texts(home, name="notes"):
    with Collection.open(name, home=home) as collection:
        return {document.id: document.text for document in collection}


def file(name, text):
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


def test_from_nothing_to_a_collection_and_back(visit, serve, folder, width_of):
    with serve(folder) as url, visit(url, viewport={"width": 390, "height": 844}) as page:
        go_to(page, "Jobs")
        expect(page.get_by_text("No jobs yet")).to_be_visible()
        go_to(page, "Collections")
        name = page.get_by_role("textbox", name="Name", exact=True)
        name.fill("../notes")
        name.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("use 1 to 64 letters, digits")
        name.fill("notes")
        page.get_by_role("button", name="Create", exact=True).click()
        expect(page.get_by_role("heading", name="Add documents")).to_be_visible()

        page.locator("input[type=file]").set_input_files(
            [file("bread.txt", "Dough rises."), file("empty.txt", ""), file("r\u202eust.txt", "Iron rusts.")]
        )
        expect(page.get_by_text("bread.txt")).to_be_visible()
        page.get_by_role("button", name="Read these files").click()
        expect(page.get_by_role("alert")).to_contain_text("empty.txt: it is empty")
        expect(page.locator(".st-figures b").first).to_have_text("2")
        assert texts(folder) == {"bread.txt": "Dough rises.", "rust.txt": "Iron rusts."}

        page.get_by_text("A folder of this machine").click()
        page.get_by_role("button", name="Read this folder").click()
        expect(page.locator(".st-figures b").first).to_have_text("3")
        assert texts(folder)["bees.txt"] == "Bees make honey."

        page.get_by_role("button", name="Check now").click()
        expect(page.get_by_text("3 documents in 3 passages checked: everything is as it")).to_be_visible()
        assert width_of(page) == 390

        page.locator("summary").filter(has_text="Delete").click()
        typed = page.get_by_role("textbox", name="Type notes to delete it")
        typed.fill("note")
        page.get_by_role("button", name="Delete this collection").click()
        expect(page.get_by_role("alert")).to_contain_text("nothing was deleted")
        assert len(texts(folder)) == 3
        typed.fill("notes")
        page.get_by_role("button", name="Delete this collection").click()
        expect(page.get_by_text("No collection yet")).to_be_visible()
        assert Collection.list(home=folder) == []
        assert list((folder / "uploads").rglob("*.txt")) == []

        go_to(page, "Jobs")
        expect(page.locator(".st-job")).to_have_count(3)
        assert page.locator(".st-job-name").all_inner_texts() == [
            "Check · notes",
            "Read documents · notes",
            "Read documents · notes",
        ]
        assert width_of(page) == 390
    assert [job.state for job in list_jobs(Location(folder))] == ["done"] * 3
