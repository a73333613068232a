"""A person asks, filters, shares the address: in a real browser."""

from __future__ import annotations

import signal

import pytest
from playwright.sync_api import expect

from app.settings import Location
from app.ui.server import free_port, running_server
from indexing import Collection

pytestmark = pytest.mark.browser

DOCUMENTS = [
    ("bread", "Bread", "food", "Dough rises because yeast turns sugar into gas."),
    ("honey", "Honey", "food", "Bees make honey from the nectar of flowers."),
    ("cheese", "Cheese", "food", "Cheese is made from curdled milk and ripens for months."),
    ("bicycle", "Bicycle", "machine", "A bicycle is driven by pedals and a chain."),
    ("engine", "Steam engine", "machine", "Boiling water drives a piston."),
    ("oven", "Oven", "machine", "An oven bakes bread and <b>other</b> dough at high heat."),
]
QUESTION = "why does dough rise"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The home of a small collection."""
    folder = tmp_path_factory.mktemp("browser")
    with Collection.create("kitchen", home=folder) as collection:
        collection.add(
            {"id": id_, "title": title, "text": text, "metadata": {"kind": kind}}
            for id_, title, kind, text in DOCUMENTS
        )
    return folder


@pytest.fixture(scope="module")
def address(serve, folder):
    """The search page over it."""
    with serve(folder) as url:
        yield url


def titles(page):
    return page.locator(
        ".st-title [role=heading]"
    ).all_text_contents()  # of answers that are still covered, too


def wait_for_titles(page, expected):
    page.wait_for_function(
        "expected => JSON.stringify([...document.querySelectorAll('.st-title [role=heading]')]"
        ".map(e => e.textContent).slice(0, expected.length)) === JSON.stringify(expected)",
        arg=expected,
    )


def wait_for_cards(page, count):
    page.wait_for_function(f"document.querySelectorAll('.st-card').length === {count}")


def ask(page, question):
    box = page.get_by_role("textbox", name="Question")
    box.fill(question)
    box.press("Enter")


def test_ask_change_mode_filter_and_share(visit, address):
    with visit(address) as page:
        ask(page, QUESTION)
        wait_for_titles(page, ["Bread"])
        expect(page.locator(".st-snippet mark").first).to_have_text("Dough")

        page.get_by_role("radio", name="Keyword").or_(
            page.get_by_role("button", name="Keyword")
        ).first.click()
        page.wait_for_url("**mode=keyword**")
        wait_for_cards(page, 2)
        assert sorted(titles(page)) == ["Bread", "Oven"]

        page.get_by_text("Filters", exact=True).click()
        page.get_by_role("combobox", name="Kind").click()
        page.get_by_role("option", name="machine (3)").click()
        page.wait_for_url("**f.kind=machine**")
        wait_for_titles(page, ["Oven"])
        wait_for_cards(page, 1)  # the old ones are drawn over one by one
        shared = page.url
        seen = titles(page)
        assert seen == ["Oven"]

    with visit(shared) as page:
        wait_for_titles(page, seen)
        assert titles(page) == seen
        expect(page.get_by_role("textbox", name="Question")).to_have_value(QUESTION)
        expect(page.locator(".st-summary > summary")).to_contain_text("kind: machine")
        page.reload()
        wait_for_titles(page, seen)
        page.get_by_role("button", name="Clear").click()
        wait_for_cards(page, 2)
        assert "f.kind" not in page.url


def test_back_returns_to_the_question_before(visit, address):
    with visit(address) as page:
        ask(page, QUESTION)
        wait_for_titles(page, ["Bread"])
        ask(page, "what do bees make")
        wait_for_titles(page, ["Honey"])
        page.go_back()
        wait_for_titles(page, ["Bread"])
        expect(page.get_by_role("textbox", name="Question")).to_have_value(QUESTION)


@pytest.mark.parametrize("change", ["mode", "same mode", "toggle", "filter"])
def test_old_answers_are_covered_from_the_moment_of_a_choice(visit, folder, change):
    """The server stands still meanwhile, as one that has much to do does."""
    with (
        (folder / "stderr of it").open("w") as stderr,
        running_server(Location(folder), free_port(), stderr=stderr) as (url, server),
        visit(f"{url}/?q=honey+dough") as page,
    ):
        expect(page.locator(".st-card").first).to_be_visible()
        if change == "filter":
            page.get_by_text("Filters", exact=True).click()
            expect(page.locator(".st-card").first).to_be_visible()  # nothing was asked yet
            page.get_by_role("combobox", name="Kind").click()
        page.wait_for_function("document.querySelector('.stApp').dataset.testScriptState === 'notRunning'")
        for control in (
            "Hybrid",
            "Group by file",
        ):  # the page asks the server for their code when it draws them
            expect(page.get_by_text(control, exact=True)).to_be_visible()
        server.send_signal(signal.SIGSTOP)
        try:
            if "mode" in change:
                mode = "Hybrid" if change == "same mode" else "Keyword"
                page.get_by_test_id("stButtonGroup").get_by_text(mode).click()
            elif change == "toggle":
                page.get_by_text("Group by file", exact=True).click()
            else:
                page.get_by_role("option", name="machine (3)").click()
            expect(page.locator(".st-card").first).to_be_hidden()
        finally:
            server.send_signal(signal.SIGCONT)
        expect(page.locator(".st-card").first).to_be_visible()


def test_the_cursor_waits_in_the_box_and_markup_in_documents_stays_text(visit, address):
    with visit(address) as page:
        page.wait_for_function("document.activeElement.getAttribute('aria-label') === 'Question'")
        page.keyboard.type("what bakes at high heat")
        page.keyboard.press("Enter")
        wait_for_titles(page, ["Oven"])
        expect(page.locator(".st-snippet").first).to_contain_text("<b>other</b> dough")


def test_parts_of_the_score_and_step_times_on_demand(visit, address):
    with visit(f"{address}/?q=honey") as page:
        wait_for_titles(page, ["Honey"])
        card = page.locator(".st-card").first
        expect(card.get_by_text("by meaning")).to_be_hidden()
        card.locator("summary", has_text="Score").click()
        expect(card.get_by_text("by meaning")).to_be_visible()
        page.locator(".st-summary > summary").click()
        expect(page.locator(".st-summary").get_by_text("keyword", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(visit, address, phone, width_of, scheme):
    with visit(f"{address}/?q=dough&f.kind=machine", color_scheme=scheme, **phone) as page:
        wait_for_titles(page, ["Oven"])
        for summary in page.locator(".st-card summary").all():
            summary.click()
        assert width_of(page) == 390
        background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        channels = [int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(",")]
        assert (sum(channels) > 600) == (scheme == "light")
