"""The whole loop in a real browser: judge, learn, read the report, promote, search again, roll back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from app.facade.caller import Caller
from app.facade.feedback import feedback_status, record
from app.facade.jobs import list_jobs
from app.settings import Location
from app.tuning.runs import read_runs
from app.ui.server import free_port, running_server
from indexing import Collection

pytestmark = pytest.mark.browser

THINGS = "bread honey cheese butter oven bicycle engine piano violin bridge tunnel harbour".split()


@pytest.fixture
def home(tmp_path):
    with Collection.create("things", home=tmp_path) as collection:
        collection.add(
            {"id": f"{thing}-{n}", "title": f"{thing.title()} {n}", "text": f"Part {n} about a {thing}."}
            for thing in THINGS
            for n in range(3)
        )
    return tmp_path


def live(home):
    with Collection.open("things", home=home) as collection:
        return next(one for one in collection.servings() if one.live)


def judge(page, thing):
    question = f"tell me of the {thing}"
    page.locator(
        "[data-testid=stApp][data-test-script-state=notRunning]"
    ).wait_for()  # draws over what is typed
    page.get_by_role("textbox", name="Question").fill(question)
    page.keyboard.press("Enter")
    page.wait_for_function(
        "question => document.querySelector('[data-asked]')?.dataset.asked === question"
        " && !document.body.classList.contains('st-asking')",
        arg=question,
    )
    card = page.locator("[class*='st-key-card-']").filter(
        has=page.get_by_role("heading", name=f"{thing.title()} 2", exact=True)
    )
    card.get_by_role("button", name="This is the one").click()
    expect(card.get_by_role("status")).to_have_text("You: this is the one")


def test_from_thumbs_to_a_promotion_and_back(serve, visit, home):
    with serve(home) as address, visit(address) as page:
        page.get_by_role("link", name="Improve", exact=True).click()
        expect(page.get_by_role("heading", name="Nobody has judged an answer yet")).to_be_visible()
        page.get_by_role("link", name="Search", exact=True).click()
        for thing in THINGS[:10]:
            judge(page, thing)
        with Collection.open("things", home=home) as collection:
            assert feedback_status(Caller(), Location(home), collection).kinds == {"answer": 10}
            uuid = collection.uuid

        page.get_by_role("link", name="Improve", exact=True).click()
        expect(page.locator(".st-numbers").get_by_text("10", exact=True).first).to_be_visible()
        page.get_by_role("button", name="Improve", exact=True).click()
        verdict = page.get_by_role("region", name="Verdict")
        expect(verdict).to_be_visible()
        run = read_runs(Location(home), uuid)[-1]
        assert (run.candidate, run.promoted) == (2, False)
        assert run.gate is not None
        expect(verdict).to_contain_text(run.gate["sentences"][0])
        assert live(home).id == 1

        passed = run.gate["verdict"] == "passed"
        page.get_by_role("button", name="Promote" if passed else "Promote anyway", exact=not passed).click()
        if not passed:
            press = page.get_by_role("button", name="Promote against the gate")
            press.click()
            expect(page.get_by_role("alert")).to_contain_text("needs a reason")
            assert live(home).id == 1
            if not press.is_visible():
                page.get_by_role("button", name="Promote anyway").click()
            page.get_by_role("textbox", name="Reason").fill("we saw it answer better")
            page.get_by_role("textbox", name="Reason").press("Enter")
            press.click()
        else:
            page.get_by_role("button", name="Yes, let it answer").click()
        expect(page.locator(".st-history > div").first).to_contain_text("answers now")
        assert live(home).id == 2
        assert live(home).promotions[-1].override == (None if passed else "we saw it answer better")

        page.get_by_role("link", name="Search", exact=True).click()
        judge(page, THINGS[11])
        page.get_by_role("link", name="Improve", exact=True).click()
        page.get_by_role("button", name=re.compile("^Roll back|undo Roll back$")).first.click()
        page.get_by_role("button", name="Yes, roll back").click()
        expect(page.locator(".st-history > div").last).to_contain_text("answers now")
        assert live(home).id == 1


def test_a_server_that_is_killed_while_it_learns_is_started_again_and_has_the_report(visit, home):
    """What learns is a process of its own: it goes on, and the new server shows what came of it."""
    location = Location(home)
    with Collection.open("things", home=home) as collection:
        uuid = collection.uuid
        for thing in THINGS:
            record(Caller("ada"), location, collection, f"tell me of the {thing}", f"{thing}-2", "answer")
    with running_server(location, free_port()) as (address, process):
        with visit(address) as page:
            page.get_by_role("link", name="Improve", exact=True).click()
            page.get_by_role("button", name="Improve", exact=True).click()
            expect(page.locator(".st-job")).to_be_visible()
        process.kill()
        process.wait()
    with running_server(location, free_port()) as (address, _), visit(address) as page:
        page.get_by_role("link", name="Improve", exact=True).click()
        expect(page.get_by_role("region", name="Verdict")).to_be_visible()
    assert [job.state for job in list_jobs(location)] == ["done"]
    assert [run.candidate for run in read_runs(location, uuid)] == [2]
