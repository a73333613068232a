"""What a page may ask for needs the right that the route needs which gives the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.desk.table import ENTRIES
from app.facade import reports
from app.facade.caller import ALL_RIGHTS, Caller, NotAllowed, local_caller
from app.facade.collections import start_verifying
from app.facade.feedback import record
from app.facade.improvement import improvement
from app.facade.jobs import jobs_place, list_jobs, open_jobs
from app.facade.reports import write_report
from app.jobs.table import change
from app.settings import Location
from app.tuning.gate.model import GateReport, QuestionChange
from app.tuning.runs import add_run
from indexing import Collection
from tests.services.api import bearer, client_of, new_key

HERE = "/v1/collections/animals"
NAMED = {"name": "animals"}
# Function of a page, its arguments beside the name, the route and its body.
SAME = {
    "searching.collections": (None, "GET", "/v1/collections", None),
    "searching.outline": ({}, "GET", HERE, None),
    "searching.count_documents": ({}, "GET", HERE, None),
    "searching.facets": ({}, "GET", f"{HERE}/facets", None),
    "searching.answer": ({"request": {"q": "bee"}}, "POST", f"{HERE}/search", {"query": "bee"}),
    "searching.compare": (
        {"request": {"q": "bee"}, "facets": [], "serving": 1},
        "POST",
        f"{HERE}/search",
        {"query": "bee", "serving": 1},
    ),
    "searching.said": ({"query": "bee"}, "GET", f"{HERE}/feedback/words?query=bee", None),
    "searching.say": (
        {"query": "bee", "document": "bee", "kind": "up"},
        "POST",
        f"{HERE}/feedback",
        {"query": "bee", "document": "bee", "kind": "up"},
    ),
    "searching.keep_opening": (
        {"impression": "x", "document": "bee"},
        "POST",
        f"{HERE}/feedback/clicks",
        {"impression": "x", "document": "bee"},
    ),
    "keeping.facts": ({}, "GET", HERE, None),
    "keeping.create": ({"choices": {}}, "POST", "/v1/collections", {"name": "animals"}),
    "keeping.folders_of": ({}, "GET", f"{HERE}/sources", None),
    "keeping.sync": ({"prune": False}, "POST", "/v1/jobs", {"kind": "sync", "collection": "animals"}),
    "keeping.verify": ({}, "POST", "/v1/jobs", {"kind": "verify", "collection": "animals"}),
    "keeping.forget_uploads": ({}, "DELETE", f"{HERE}/files", None),
    "keeping.delete": ({"typed": "no", "feedback": True}, "DELETE", f"{HERE}?confirm=no", None),
    "working.jobs": (None, "GET", "/v1/jobs", None),
    "working.log": ({"number": 1}, "GET", "/v1/jobs/1/log", None),
    "working.cancel": ({"number": 1, "force": False}, "POST", "/v1/jobs/1/cancel", None),
    "working.resume": ({"number": 1}, "POST", "/v1/jobs/1/resume", None),
    "measuring.evaluation": ({}, "GET", f"{HERE}/reports", None),
    "measuring.report": ({"number": 1}, "GET", f"{HERE}/reports/1", None),
    "measuring.running": ({}, "GET", "/v1/jobs", None),
    "measuring.start": (
        {"judged": "none", "split": "test", "choices": {}},
        "POST",
        "/v1/jobs",
        {"kind": "report", "collection": "animals", "judgments": "none"},
    ),
    "measuring.delete_set": ({"title": "x"}, "DELETE", f"{HERE}/judged-sets/x", None),
    "improving.state": ({}, "GET", f"{HERE}/reports/tuning", None),
    "improving.judged": ({}, "GET", f"{HERE}/feedback/queue", None),  # what people asked
    "improving.to_judge": ({}, "GET", f"{HERE}/feedback/queue", None),
    "improving.documents": ({"ids": ["bee"]}, "GET", f"{HERE}/documents/bee", None),
    "improving.tune": (
        {"lever": "auto"},
        "POST",
        "/v1/jobs",
        {"kind": "tune", "collection": "animals"},
    ),
    "improving.tuning_job": ({}, "GET", "/v1/jobs", None),
    "improving.trial": ({}, "GET", f"{HERE}/trial", None),
    "improving.begin_trial": ({"serving": 9}, "POST", f"{HERE}/trial", {"serving": 9}),
    "improving.end_trial": ({}, "DELETE", f"{HERE}/trial", None),
    "improving.promote": ({"serving": 9}, "POST", f"{HERE}/servings/9/promote", None),
    "improving.roll_back": ({}, "POST", f"{HERE}/servings/rollback", None),
    "keeping.add_files": ({"replace": False}, "POST", f"{HERE}/files?filename=x.txt", None),
    "measuring.add_set": ({"title": "x"}, "PUT", f"{HERE}/judged-sets/x", None),
}
# For pages alone.
NO_ROUTE = {
    "entering.make_person_key",
    "entering.revoke_person_key",
    "entering.who",
    "improving.people",
    "improving.seconds",
    "keeping.add_folder",
    "keeping.folders",
    "keeping.limits",
    "keeping.models",
    "searching.find_original",
    "searching.original_file",
    "searching.original_lines",
    "searching.original_page",
}
SECRET = "what did ann do in spring"


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    """A collection, a job that failed, a report and a tune by what people said."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STLIB_JOBS", "0")  # none is started
        with Collection.create("animals", home=home) as collection:
            collection.add([{"id": "bee", "text": "Bees make honey."}, {"id": "owl", "text": "Owls hunt."}])
            uuid = collection.uuid
        where = Location(home)
        record(local_caller(), where, "animals", SECRET, "bee", "up")
        write_report(local_caller(), where, "animals", "feedback")
        job = start_verifying(local_caller(), where, "animals")
        with open_jobs(jobs_place(where)) as engine:
            change(engine, job, state="failed", error="no /srv/secret", result={"found": ["/srv/secret"]})
        asked = QuestionChange("1", SECRET, 1.0, 0.5, ("bee",), ("owl",))
        said = GateReport("failed", (), "animals", 1, 2, 1, 1, 0.05, 0.5, {}, {}, {}, None, False, 1, 0, 1, 0)
        gate = replace(said, questions=(asked,), to_judge=(("1", SECRET, "bee"),)).to_dict()
        add_run(where, uuid, "head", candidate=None, promoted=False, seconds=1.0, gate=gate)
        yield where


@pytest.fixture(scope="module")
def asked(location):
    """Asks as a key of a scope does."""
    keys = {scope: new_key(location.home, scope, scope=scope) for scope in ("read", "write", "admin")}
    with client_of(location.home, keys="required") as client:
        yield lambda scope, method, path, body=None: client.request(
            method, path, headers=bearer(keys[scope]), **({} if body is None else {"json": body})
        )


def ask_page(asked, scope, function, arguments):
    given = {} if arguments is None else arguments if "number" in arguments else {**NAMED, **arguments}
    if ENTRIES[function].name.startswith("measuring.report"):
        given = {**NAMED, **given}
    return asked(scope, "POST", f"/v1/page/{function}", given)


def test_every_function_is_compared():
    assert SAME.keys() | NO_ROUTE == ENTRIES.keys()


@pytest.mark.parametrize("function", sorted(SAME))
def test_a_page_needs_the_right_of_the_route(asked, function):
    arguments, method, path, body = SAME[function]
    for scope in ("read", "write", "admin"):
        page = ask_page(asked, scope, function, arguments)
        route = asked(scope, method, path, body)
        assert (page.status_code == 403) == (route.status_code == 403), (scope, page.text, route.text)
        assert page.status_code < 500 and route.status_code < 500


def test_neither_tells_a_reader_what_people_asked_or_where_files_lie(asked):
    for function, (arguments, method, path, body) in SAME.items():
        if method == "GET":
            for answer in (ask_page(asked, "read", function, arguments), asked("read", method, path, body)):
                assert SECRET not in answer.text.replace("\\u", ""), function
                assert "/srv/secret" not in answer.text, function
    for path in (f"{HERE}/reports/tuning", f"{HERE}/reports/1"):
        assert SECRET in asked("write", "GET", path).text
    assert "/srv/secret" in asked("admin", "GET", "/v1/jobs/1").text
    assert len(asked("write", "GET", f"{HERE}/reports").json()["reports"]) == 1
    assert asked("read", "GET", f"{HERE}/reports").json()["reports"] == []


def test_judged_sets_and_reports_are_of_collections_that_one_may_use(location):
    other = Caller("ann", "api", rights=ALL_RIGHTS, collections=frozenset({"plants"}))
    with Collection.open("animals", home=location.home) as animals:
        for ask in (
            lambda: reports.past_reports(other, location, animals),
            lambda: reports.read_report(other, location, animals, 1),
            lambda: reports.judged_sets(other, location, animals),
            lambda: reports.add_judged_set(other, location, animals, "x", []),
            lambda: reports.delete_judged_set(other, location, animals, "x"),
        ):
            with pytest.raises(NotAllowed, match="ann may not use collection 'animals'"):
                ask()
        reader = replace(other, rights=frozenset({"search"}), collections=None)
        assert improvement(reader, location, animals).runs[0].gate["to_judge"] == ()
    assert json.dumps([job.to_dict() for job in list_jobs(location, caller=reader)]).count("secret") == 0


def test_an_answer_has_so_many_characters(asked, location, monkeypatch):
    monkeypatch.setattr("app.facade.documents.MOST_CHARACTERS", 20)  # one of two documents
    first = asked("read", "GET", f"{HERE}/documents").json()
    rest = asked("read", "GET", f"{HERE}/documents?after={first['next']}").json()
    assert [one["id"] for one in (*first["documents"], *rest["documents"])] == ["bee", "owl"]
    assert (first["next"], rest["next"]) == ("bee", None)
    refused = asked("read", "POST", f"{HERE}/search", {"query": "bees and owls"})
    assert refused.status_code == 400 and "ask for fewer documents" in refused.text
    short = asked("read", "POST", f"{HERE}/search", {"query": "bees and owls", "text": False})
    assert len(short.json()["results"]) == 2
    page = asked("read", "POST", "/v1/page/searching.answer", {**NAMED, "request": {"q": "bees and owls"}})
    assert page.status_code == 400 and "ask for fewer documents" in page.text
    many = {**NAMED, "ids": ["bee", "owl"]}
    assert asked("read", "POST", "/v1/page/improving.documents", many).status_code == 400
