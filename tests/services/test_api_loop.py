"""Over HTTP: what people say, judgments, jobs, servings, reports, from the first word to the next serving."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile

import pytest

from indexing import Collection
from tests.services.api import bearer, client_of, location_of, new_key

ROOT = "/v1/collections/notes"
ON_SERVER_TOO = (
    "test_what_is_said_is_kept_and_shown",
    "test_judgments_go_in_and_come_out_in_every_form",
    "test_a_reindex_makes_a_serving_that_is_promoted_and_rolled_back",
    "test_a_learned_serving_needs_the_gate_or_a_reason",
    "test_a_file_is_brought_and_read_by_a_job",
)
DOCUMENTS = [
    {"id": "audit.md", "text": "The auditors come in May and look at the books.", "metadata": {"year": 2024}},
    {"id": "tea.md", "text": "Tea is at four o'clock in the garden.", "metadata": {"year": 2023}},
    {"id": "keys.md", "text": "Keys of the garden gate hang behind the door.", "metadata": {"year": 2022}},
]


def pytest_generate_tests(metafunc):
    if "where" in metafunc.fixturenames:
        places = ["home", "postgres"] if metafunc.function.__name__ in ON_SERVER_TOO else ["home"]
        metafunc.parametrize("where", places, indirect=True, scope="module")


@pytest.fixture(scope="module")
def where(request, tmp_path_factory):
    """A home, or the database of a server."""
    if request.param == "home":
        yield filled(tmp_path_factory.mktemp("loop") / "home")
        return
    databases = request.getfixturevalue("postgres_databases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "STLIB_HOME", str(tmp_path_factory.mktemp("loop") / "files")
        )  # what is no row lies there
        url = databases.create()
        yield filled(url)
        databases.drop(url)


def filled(where):
    for name in ("notes", "secret"):
        with Collection.create(name, **location_of(where).arguments()) as collection:
            collection.add(DOCUMENTS)
    return where


@pytest.fixture(scope="module")
def client(where):
    with client_of(where) as client:
        yield client


def opened(where):
    return Collection.open("notes", **location_of(where).arguments())


def wait_for(client, job):
    """The job when it has ended."""
    deadline = time.monotonic() + 60
    while (shown := client.get(f"/v1/jobs/{job['id']}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return shown


def test_what_is_said_is_kept_and_shown(client):
    asked = "who looks at the books"
    found = client.post(f"{ROOT}/search", json={"query": asked}).json()
    assert found["results"][0]["id"] == "audit.md"
    word = {"query": asked, "document": "audit.md", "kind": "answer", "impression": found["id"]}
    said = client.post(f"{ROOT}/feedback", json=word)
    assert (said.status_code, said.json()["kind"], said.json()["grade"]) == (201, "answer", 3)
    clicked = {"impression": found["id"], "document": "audit.md"}
    assert client.post(f"{ROOT}/feedback/clicks", json=clicked).status_code == 202
    words = client.get(f"{ROOT}/feedback/words", params={"query": asked}).json()
    assert {id_: word["kind"] for id_, word in words["mine"].items()} == {"audit.md": "answer"}
    assert words["others"] == {}
    status = client.get(f"{ROOT}/feedback/status").json()
    assert (status["impressions"], status["events"], status["sayings"]) == (1, 1, 1)
    lines = [json.loads(line) for line in client.get(f"{ROOT}/feedback").text.splitlines()]
    assert [line["what"] for line in lines] == ["impression", "event", "saying"]
    assert (lines[0]["id"], lines[0]["surface"], lines[2]["document"]) == (found["id"], "api", "audit.md")


def test_another_person_sees_that_others_said_something(client, where):
    headers = bearer(new_key(where, "jane", scope="write"))
    asked = "where are the keys of the gate"
    word = {"query": asked, "document": "keys.md", "kind": "up"}
    assert client.post(f"{ROOT}/feedback", json=word, headers=headers).status_code == 201
    mine = client.get(f"{ROOT}/feedback/words", params={"query": asked}, headers=headers).json()
    theirs = client.get(f"{ROOT}/feedback/words", params={"query": asked}).json()
    assert (list(mine["mine"]), mine["others"]) == (["keys.md"], {})
    assert (theirs["mine"], theirs["others"]) == ({}, {"keys.md": {"up": 1}})


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"query": "why", "document": "nowhere.md", "kind": "up"}, 400),
        ({"query": "why", "document": "audit.md", "kind": "grade"}, 400),
        ({"query": "why", "document": "audit.md", "kind": "grade", "grade": 4}, 422),
        ({"query": "why", "document": "audit.md", "kind": "import"}, 422),
        ({"query": " ", "document": "audit.md", "kind": "up"}, 400),
        ({"query": "why", "document": "audit.md"}, 422),
        ({"query": "why", "document": "audit.md", "kind": "up", "who": "root"}, 422),
    ],
)
def test_what_cannot_be_said_is_refused(client, said, status):
    answer = client.post(f"{ROOT}/feedback", json=said)
    assert (answer.status_code, set(answer.json())) == (status, {"error", "request_id"})


def beir_zip(queries, qrels):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        lines = [json.dumps({"_id": id_, "text": text}) + "\n" for id_, text in queries.items()]
        archive.writestr("set/queries.jsonl", "".join(lines))
        rows = [f"{query}\t{document}\t{grade}\n" for query, document, grade in qrels]
        archive.writestr("set/qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + "".join(rows))
        archive.writestr("../../outside.jsonl", "never written")
    return packed.getvalue()


def test_judgments_go_in_and_come_out_in_every_form(client):
    rows = [
        {"question": "when is tea", "document": "tea.md", "grade": 2},
        {"question": "when is tea", "document": "gone.md", "grade": 0},
    ]
    first = client.post(f"{ROOT}/judgments", json={"judgments": rows}).json()
    again = client.post(f"{ROOT}/judgments", json={"judgments": rows}).json()
    assert (first["added"], first["unknown"], again["added"], again["unchanged"]) == (2, ["gone.md"], 0, 2)
    table = "question,document,grade\nwhich gate,keys.md,3\nwhich gate,keys.md\n"
    headers = {"Content-Type": "text/csv"}
    brought = client.post(f"{ROOT}/judgments/file", content=table.encode(), headers=headers).json()
    assert (brought["added"], brought["bad"][0].split(", ")[1]) == (1, "line 3: 2 cells")
    packed = beir_zip({"q1": "who audits us"}, [("q1", "audit.md", 1)])
    url = f"{ROOT}/judgments/file"
    from_zip = client.post(url, params={"format": "beir", "split": "test"}, content=packed).json()
    assert (from_zip["questions"], from_zip["added"]) == (1, 1)

    out = client.get(f"{ROOT}/judgments").json()["judgments"]
    expected = {("when is tea", "tea.md", 2), ("which gate", "keys.md", 3), ("who audits us", "audit.md", 1)}
    assert expected <= {(row["question"], row["document"], row["grade"]) for row in out}
    as_csv = list(csv.DictReader(io.StringIO(client.get(f"{ROOT}/judgments", params={"format": "csv"}).text)))
    assert [{**row, "grade": int(row["grade"])} for row in as_csv] == out
    beir = client.get(f"{ROOT}/judgments", params={"format": "beir", "split": "dev"}).content
    with zipfile.ZipFile(io.BytesIO(beir)) as archive:
        assert archive.namelist() == ["qrels/dev.tsv", "queries.jsonl"]
        assert len(archive.read("qrels/dev.tsv").splitlines()) == 1 + len(out)


def test_a_judged_set_is_measured_with_by_jobs(client, where):
    packed = beir_zip(
        {"q1": "who audits us", "q2": "when is tea"}, [("q1", "audit.md", 1), ("q2", "tea.md", 1)]
    )
    assert client.put(f"{ROOT}/judged-sets/exam", content=packed).json() == {
        "name": "exam",
        "splits": ["test"],
    }
    assert client.put(f"{ROOT}/judged-sets/exam", content=packed).status_code == 400
    assert client.put(f"{ROOT}/judged-sets/..", content=packed).status_code in (400, 404, 405)
    listed = client.get(f"{ROOT}/judged-sets").json()["judged_sets"]
    assert listed == [{"name": "exam", "splits": ["test"]}]

    asked = {"kind": "evaluate", "collection": "notes", "judged_set": "exam", "modes": ["keyword"]}
    started = client.post("/v1/jobs", json=asked)
    assert (started.status_code, started.headers["location"]) == (202, f"/v1/jobs/{started.json()['id']}")
    done = wait_for(client, started.json())
    with opened(where) as collection:
        own = collection.evaluate(
            {"q1": "who audits us", "q2": "when is tea"},
            {"q1": {"audit.md": 1}, "q2": {"tea.md": 1}},
            mode="keyword",
        )
    assert (done["state"], done["result"]["modes"]["keyword"]["metrics"]) == ("done", own.metrics)

    asked = {"kind": "report", "collection": "notes", "judgments": "exam", "modes": ["keyword", "semantic"]}
    done = wait_for(client, client.post("/v1/jobs", json=asked).json())
    assert done["state"] == "done", done
    (short,) = client.get(f"{ROOT}/reports").json()["reports"]
    report = client.get(f"{ROOT}/reports/{short['id']}").json()
    assert (short["questions"], [one["system"]["mode"] for one in report["systems"]]) == (
        2,
        ["hybrid", "keyword", "semantic"],
    )
    page = client.get(f"{ROOT}/reports/{short['id']}", params={"format": "html"})
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert client.get(f"{ROOT}/reports/9").status_code == 404
    assert client.delete(f"{ROOT}/judged-sets/exam").status_code == 204
    assert client.delete(f"{ROOT}/judged-sets/exam").status_code == 404


def test_a_reindex_makes_a_serving_that_is_promoted_and_rolled_back(client):
    asked = {
        "kind": "reindex",
        "collection": "notes",
        "weights": {"keyword": 0.5},
        "boosts": [{"filter": "year >= 2024", "weight": 0.1}],
        "promote": False,
    }
    done = wait_for(client, client.post("/v1/jobs", json=asked).json())
    assert done["state"] == "done", done
    made = done["result"]["serving"]["id"]
    log = client.get(f"/v1/jobs/{done['id']}/log").json()
    assert isinstance(log["lines"], list)
    servings = client.get(f"{ROOT}/servings").json()
    assert (servings["live"], [one["id"] for one in servings["servings"]]) == (1, [1, made])
    assert client.get(f"{ROOT}/servings/{made}").json()["ranking"]["weights"]["keyword"] == 0.5
    assert client.post(f"{ROOT}/servings/{made}/promote").json() == {"live": made, "before": 1}
    assert client.get(f"{ROOT}/search", params={"q": "tea"}).json()["serving"] == made
    assert client.post(f"{ROOT}/servings/rollback").json() == {"live": 1, "before": made}
    assert client.post(f"{ROOT}/servings/99/promote").status_code == 404
    assert client.get(f"{ROOT}/servings/{made}/gate").status_code == 404

    trial = client.post(f"{ROOT}/trial", json={"serving": made})
    assert (trial.status_code, trial.json()["candidate"], trial.json()["state"]) == (201, made, "goes on")
    assert client.post(f"{ROOT}/trial", json={"serving": made}).status_code == 400
    assert client.post(f"{ROOT}/trial/settle").json()["state"] == "goes on"
    assert client.delete(f"{ROOT}/trial").json()["outcome"] == "stopped"
    assert client.get(f"{ROOT}/trial").json()["outcome"] == "stopped"


def test_a_learned_serving_needs_the_gate_or_a_reason(client, where):
    with opened(where) as collection:
        learned = collection.create_serving(collection.settings(), note="learned").id
    refused = client.post(f"{ROOT}/servings/{learned}/promote", json={})
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "gate_not_passed")
    reason = {"override": "compared by hand"}
    assert client.post(f"{ROOT}/servings/{learned}/promote", json=reason).json()["live"] == learned
    shown = client.get(f"{ROOT}/servings/{learned}").json()
    assert (shown["promotions"][-1]["override"], shown["promotions"][-1]["who"]) == (
        "compared by hand",
        "local",
    )
    client.post(f"{ROOT}/servings/rollback")


def test_a_file_is_brought_and_read_by_a_job(client):
    text = b"# Lunch\n\nSoup at noon.\n"
    brought = client.post(f"{ROOT}/files", params={"filename": "../../evil/lunch.md"}, content=text)
    assert (brought.status_code, brought.json()["name"]) == (202, "lunch.md")
    assert wait_for(client, brought.json()["job"])["state"] == "done"
    found = client.get(f"{ROOT}/search", params={"q": "soup at noon"}).json()
    assert found["results"][0]["title"] == "Lunch"
    again = client.post(
        f"{ROOT}/files", params={"filename": "lunch.md"}, content=b"# Lunch\n\nSoup at noon.\n"
    )
    assert (again.json()["fresh"], again.json()["job"]) == (False, None)
    assert client.post(f"{ROOT}/files", params={"filename": "a.exe"}, content=b"MZ").status_code == 400
    assert client.get(f"{ROOT}/sources").json() == {"sources": []}
    assert client.delete(f"{ROOT}/files").json()["files"] == 1


def test_jobs_are_stopped_resumed_and_named(client):
    missing = client.get("/v1/jobs/999")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found")
    done = wait_for(client, client.post("/v1/jobs", json={"kind": "verify", "collection": "notes"}).json())
    assert done["result_said"] == ["4 documents in 4 passages checked: everything is as it should be."]
    assert client.post(f"/v1/jobs/{done['id']}/cancel").status_code == 400
    assert client.post(f"/v1/jobs/{done['id']}/resume").status_code == 400
    newest = client.get("/v1/jobs", params={"collection": "notes", "state": "done", "limit": 1}).json()
    assert [one["id"] for one in newest["jobs"]] == [done["id"]]
    for asked in (
        {"kind": "verify", "collection": "none"},
        {"kind": "evaluate", "collection": "notes", "judged_set": "../.."},
    ):
        assert client.post("/v1/jobs", json=asked).status_code == 404
    sync = client.post("/v1/jobs", json={"kind": "sync", "collection": "notes"})
    assert (sync.status_code, "read from no folder" in sync.json()["error"]["message"]) == (400, True)
    unknown = client.post("/v1/jobs", json={"kind": "index", "collection": "notes", "paths": ["/etc"]})
    assert unknown.status_code == 422


def test_no_request_has_a_model_loaded_that_nobody_allowed(client, tmp_path):
    for option in ("model", "sparse", "tokens", "reranker"):
        asked = {"kind": "reindex", "collection": "notes", option: str(tmp_path)}
        refused = client.post("/v1/jobs", json=asked)
        assert refused.status_code == 400
        assert "may be named here" in refused.json()["error"]["message"]
    judged = {"kind": "report", "collection": "notes", "rerankers": [str(tmp_path)]}
    assert client.post("/v1/jobs", json=judged).status_code == 400


CALLS = [
    # method, path, body, scopes that suffice
    ("GET", f"{ROOT}/feedback/status", None, ("read", "write", "admin")),
    ("POST", f"{ROOT}/feedback", {"query": "q", "document": "tea.md", "kind": "up"}, ("write", "admin")),
    ("GET", f"{ROOT}/feedback", None, ("admin",)),
    ("DELETE", f"{ROOT}/feedback?person=nobody", None, ("admin",)),
    ("GET", f"{ROOT}/feedback/queue", None, ("write", "admin")),
    ("GET", f"{ROOT}/judgments", None, ("admin",)),
    ("GET", f"{ROOT}/servings", None, ("read", "write", "admin")),
    ("POST", f"{ROOT}/servings/99/promote", {}, ("admin",)),
    ("POST", f"{ROOT}/servings/rollback", None, ("admin",)),
    ("DELETE", f"{ROOT}/trial", None, ("admin",)),
    ("GET", f"{ROOT}/reports/tuning", None, ("read", "write", "admin")),
    ("GET", f"{ROOT}/reports/gate", None, ("read", "write", "admin")),
    ("GET", f"{ROOT}/sources", None, ("admin",)),
    ("POST", "/v1/jobs", {"kind": "verify", "collection": "notes"}, ("admin",)),
    ("POST", "/v1/jobs", {"kind": "tune", "collection": "notes"}, ("admin",)),
    ("GET", "/metrics", None, ("read", "write", "admin")),
]


@pytest.fixture(scope="module")
def keys(where):
    return {scope: bearer(new_key(where, scope, scope=scope)) for scope in ("read", "write", "admin")}


@pytest.mark.parametrize(("method", "path", "body", "suffices"), CALLS)
def test_each_call_asks_for_its_scope(client, keys, method, path, body, suffices):
    for scope, headers in keys.items():
        answer = client.request(method, path, json=body, headers=headers)
        assert (answer.status_code == 403) == (scope not in suffices), (scope, answer.text[:300])


def test_a_key_for_one_collection_sees_nothing_of_another(client, where):
    headers = bearer(new_key(where, "narrow", scope="admin", collections=["secret"]))
    for method, path, body, _ in CALLS:
        assert client.request(method, path, json=body, headers=headers).status_code == 403, path
    assert client.get("/v1/jobs", headers=headers).json() == {"jobs": []}
    first = client.get("/v1/jobs").json()["jobs"][-1]["id"]
    for path in ("", "/log"):
        assert client.get(f"/v1/jobs/{first}{path}", headers=headers).status_code == 404
    assert client.post(f"/v1/jobs/{first}/cancel", headers=headers).status_code == 404


def test_a_job_tells_readers_no_more_than_its_state(client, keys):
    job = client.get("/v1/jobs", params={"state": "done"}).json()["jobs"][0]
    shown = client.get(f"/v1/jobs/{job['id']}", headers=keys["read"]).json()
    assert (shown["state"], shown["arguments"], shown["result"], shown["error"]) == ("done", None, None, "")
    assert client.get(f"/v1/jobs/{job['id']}/log", headers=keys["read"]).status_code == 403
