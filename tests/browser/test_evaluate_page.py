"""The Evaluate page: bring judged questions, compare, read, compare again by the command it prints."""

from __future__ import annotations

import io
import json
import re
import zipfile

from playwright.sync_api import expect

from app.report.history import list_reports, load_report
from app.settings import Location
from indexing import Collection

ANIMALS = {
    "bee": ("Bee", "Bees make honey from the nectar of flowers."),
    "cat": ("<b>Cat</b>", "Cats purr when they are content and sleep all day."),
    "dog": ("Dog", "Dogs bark at strangers and guard the house."),
    "cow": ("Cow", "Cows eat grass and give milk."),
}
QUESTIONS = {"1": "who makes honey", "2": "purring", "3": "a guard that barks"}
GRADES = "1\tbee\t1\n2\tcat\t1\n3\tdog\t1\n"


def judged_zip():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        lines = [json.dumps({"_id": id_, "text": text}) for id_, text in QUESTIONS.items()]
        archive.writestr("animals/queries.jsonl", "\n".join(lines))
        archive.writestr("animals/qrels/test.tsv", GRADES)
    return {"name": "animals.zip", "mimeType": "application/zip", "buffer": data.getvalue()}


def test_questions_are_brought_compared_and_read(tmp_path, serve, visit, phone, width_of):
    with Collection.create("zoo", home=tmp_path) as zoo:
        zoo.add({"id": id_, "title": title, "text": text} for id_, (title, text) in ANIMALS.items())
        uuid = zoo.uuid
        expected = zoo.evaluate(QUESTIONS, {"1": {"bee": 1}, "2": {"cat": 1}, "3": {"dog": 1}})
    with serve(tmp_path) as url:
        with visit(url) as page:
            page.get_by_role("link", name="Evaluate").click()
            expect(page.get_by_text("Nothing was compared yet")).to_be_visible()

            page.get_by_text("Bring judged questions").click()
            page.locator("input[type=file]").set_input_files(judged_zip())
            page.get_by_label("Name", exact=True).fill("animals")
            page.get_by_role("button", name="Keep").click()
            expect(page.get_by_text("animals is kept, with test.")).to_be_visible()
            assert (tmp_path / "judged" / uuid / "animals" / "qrels" / "test.tsv").read_text() == GRADES

            page.get_by_role("button", name="Compare").click()
            expect(page.locator(".st-report")).to_contain_text("3 judged questions", timeout=90_000)
            expect(page.get_by_role("img", name=re.compile("NDCG@10 of each system"))).to_be_visible()

            (past,) = list_reports(Location(tmp_path), uuid)
            assert past.metrics["NDCG@10"] == expected.metrics["NDCG@10"]
            report = load_report(Location(tmp_path), uuid, past.id)
            assert [one.system.mode for one in report.systems] == ["hybrid", "semantic", "keyword", "hybrid"]

            page.get_by_role("tab", name="Questions").click()
            expect(page.get_by_role("img", name=re.compile("question by question"))).to_be_visible()
            with page.expect_download() as download:
                page.get_by_role("button", name="Page").click()
            html = download.value.path().read_text(encoding="utf-8")
            assert html.startswith("<!doctype html>") and "<b>Cat</b>" not in html
        with visit(url, **phone) as page:
            page.get_by_role("link", name="Evaluate").click()
            expect(page.locator(".st-report")).to_be_visible()
            assert width_of(page) <= 390
