"""Who is let in, and what a request cannot do: the application in this process."""

from __future__ import annotations

import json
import time

import pytest

from app.api.limits import Rate
from app.facade import keys
from app.facade.caller import ALL_RIGHTS, Caller, NotAllowed, local_caller
from app.facade.keys import BadKey, KeyCallers, key_caller, list_keys, make_key, revoke_key
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput
from tests.services.api import bearer, client_of, new_key

SECRET_WORD = "xylophonist"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("guarded") / "home"
    for name in ("open", "hidden"):
        with Collection.create(name, home=home) as collection:
            collection.add(
                [{"id": "a", "text": f"A {SECRET_WORD} in {name}.", "metadata": {"kind": "o'clock"}}]
            )
    return home


@pytest.fixture(scope="module")
def client(home):
    with client_of(home, keys="required", rate=0, body_mib=0.25, line_mib=0.1) as client:
        yield client


@pytest.fixture(scope="module")
def admin(home):
    return bearer(new_key(home, scope="admin"))


def error_of(response):
    """The type of an error; every error has the same shape."""
    said = response.json()
    assert set(said) == {"error", "request_id"} and response.headers["x-request-id"] == said["request_id"]
    assert isinstance(said["error"]["message"], str) and said["error"]["message"]
    return response.status_code, said["error"]["type"]


# --- keys ---


def test_without_a_key_only_health_is_told(client):
    refused = client.get("/v1/collections")
    assert error_of(refused) == (401, "bad_key") and refused.headers["www-authenticate"] == "Bearer"
    for path in ("/v1/collections/open/search?q=a", "/openapi.json", "/metrics", "/v1/nothing", "/"):
        assert error_of(client.get(path)) == (401, "bad_key")
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "said", ["Bearer", "Bearer x", "Basic YTpi", "bearer stk_000000000000_" + "a" * 43, "é"]
)
def test_what_is_no_key_opens_nothing(client, said):
    assert error_of(client.get("/v1/collections", headers={"Authorization": said.encode()}))[0] in (401, 429)


def test_a_key_whose_secret_differs_in_one_letter_opens_nothing(home):
    secret = new_key(home)
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    assert key_caller(Location(home), secret).name == "tester"
    with pytest.raises(BadKey, match="not known"):
        key_caller(Location(home), other)


def test_no_secret_is_kept(home):
    secret = new_key(home)
    stored = b"".join(path.read_bytes() for path in home.glob("keys.sqlite*"))
    assert secret.split("_", 2)[2].encode() not in stored and secret.encode() not in stored


def test_an_expired_key_opens_nothing(client, home):
    key = new_key(home, days=0.2 / 86_400)
    time.sleep(0.25)
    assert error_of(client.get("/v1/collections", headers=bearer(key))) == (401, "bad_key")
    [said] = [one for one in list_keys(local_caller(), Location(home)) if f"_{one.id}_" in key]
    assert said.state() == "expired" and said.to_dict()["expires"] is not None


def test_a_key_that_ends_while_it_is_held_is_refused(home, monkeypatch):
    held = KeyCallers(Location(home))
    key = new_key(home, days=1.5 / 86_400)
    assert held.of(key).session and held.held(key) is not None
    now = time.monotonic()
    monkeypatch.setattr(keys.time, "monotonic", lambda: now + 1.6)
    assert held.held(key) is None


def test_a_revoked_key_is_refused_after_two_seconds_at_most(home, monkeypatch):
    key = new_key(home)
    id_ = key.split("_")[1]
    held = KeyCallers(Location(home))
    caller = held.of(key)
    assert held.held(key) == caller
    revoke_key(local_caller(), Location(home), id_)
    with pytest.raises(BadInput, match="no key"):
        revoke_key(local_caller(), Location(home), id_)
    now = time.monotonic()
    monkeypatch.setattr(keys.time, "monotonic", lambda: now + keys.HELD_SECONDS)
    assert held.held(key) is None
    with pytest.raises(BadKey, match="is revoked"):
        held.of(key)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "needs a name"),
        ({"name": "a\nb"}, "needs a name"),
        ({"scope": "root"}, "use one of read, write, admin"),
        ({"days": 0}, "above 0"),
        ({"days": float("nan")}, "above 0"),
        ({"collections": []}, "opens nothing"),
        ({"collections": ["../x"]}, "collection name"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(tmp_path, wrong, said):
    given = {"name": "a", **wrong}
    with pytest.raises(BadInput, match=said):
        make_key(local_caller(), Location(tmp_path), given.pop("name"), **given)
    assert list_keys(local_caller(), Location(tmp_path)) == []


def test_only_who_manages_everything_makes_keys(home):
    some = Caller("ann", rights=ALL_RIGHTS, collections=frozenset({"open"}))
    few = Caller("bob", rights=ALL_RIGHTS - {"manage"})
    for caller in (some, few):
        for ask in (lambda c: make_key(c, Location(home), "x"), lambda c: list_keys(c, Location(home))):
            with pytest.raises(NotAllowed):
                ask(caller)


# --- scopes ---

READ = [("GET", "/v1/collections"), ("GET", "/v1/collections/open"), ("GET", "/v1/collections/open/facets")]
READ += [("GET", "/v1/collections/open/search?q=a"), ("GET", "/v1/collections/open/documents")]
READ += [("GET", "/v1/collections/open/documents/a")]
WRITE = [("POST", "/v1/collections/open/documents"), ("DELETE", "/v1/collections/open/documents/none")]
WRITE += [("DELETE", "/v1/collections/open/documents?filter=kind='none'")]
WRITE += [("PUT", "/v1/collections/open/documents/none/metadata")]
ADMIN = [("POST", "/v1/collections"), ("DELETE", "/v1/collections/none?confirm=none")]


def test_a_scope_allows_what_it_says_and_no_more(client, home):
    allowed = {"read": READ, "write": READ + WRITE, "admin": READ + WRITE + ADMIN}
    for scope, inside in allowed.items():
        headers = bearer(new_key(home, scope=scope))
        for method, path in READ + WRITE + ADMIN:
            body = {"json": {"metadata": {}, "name": "open"}} if method in ("POST", "PUT") else {}
            status = client.request(method, path, headers=headers, **body).status_code
            assert (status != 403) == ((method, path) in inside), (scope, method, path, status)


def test_a_key_for_one_collection_sees_no_other(client, home):
    headers = bearer(new_key(home, scope="admin", collections=["open"]))
    names = [one["name"] for one in client.get("/v1/collections", headers=headers).json()["collections"]]
    assert names == ["open"]
    for name in ("hidden", "not-there"):  # whether there is one is not told
        for method, path in READ[1:] + WRITE:
            path = path.replace("/open", f"/{name}")
            body = {"json": {"metadata": {}}} if method in ("POST", "PUT") else {}
            assert error_of(client.request(method, path, headers=headers, **body)) == (403, "not_allowed")
    asked = {"q": SECRET_WORD}
    found = client.get("/v1/collections/open/search", params=asked, headers=headers).json()
    assert [one["text"] for one in found["results"]] == [f"A {SECRET_WORD} in open."]


def test_nothing_is_read_of_a_body_that_is_not_allowed(client, home):
    def body():
        yield b'{"id": "b", "text": "b"}\n'
        raise AssertionError("the body was asked for")

    headers = bearer(new_key(home, scope="read"))
    answer = client.post("/v1/collections/open/documents", content=body(), headers=headers)
    assert error_of(answer) == (403, "not_allowed")


# --- bodies ---


def test_large_bodies_are_refused_before_they_are_read(client, admin):
    path = "/v1/collections/open/search"
    declared = client.post(path, content=b"x" * (1 << 19), headers=admin)
    assert error_of(declared) == (413, "too_large")
    streamed = client.post(path, content=(b" " * 1024 for _ in range(1024)), headers=admin)
    assert error_of(streamed) == (413, "too_large")
    packed = client.post(path, content=b"x", headers={**admin, "Content-Encoding": "gzip"})
    assert error_of(packed) == (415, "unsupported_media_type")


def test_a_line_without_end_is_refused_and_what_came_before_it_is_stored(client, admin):
    def body():
        yield b'{"id": "before", "text": "stored"}\n{"id": "after", "text": "'
        for _ in range(200):
            yield b"x" * 1024

    answer = client.post("/v1/collections/open/documents", content=body(), headers=admin)
    assert error_of(answer) == (400, "bad_input")
    assert answer.json()["error"]["report"]["stored_lines"] == 1
    assert client.get("/v1/collections/open/documents/before", headers=admin).json()["text"] == "stored"
    assert client.delete("/v1/collections/open/documents/before", headers=admin).json() == {
        "deleted": ["before"]
    }


LINES = [
    (b"{", "not valid JSON"),
    (b"[" * 100_000, "not valid JSON: nested too deeply"),
    (b'"text"', "this is a text"),
    (b"[1]", "this is a list"),
    (b'{"text": "x"}', "needs an 'id'"),
    (b'{"id": "x", "text": " "}', "is empty"),
    (b'{"id": "x", "text": 1}', "a string is needed"),
    (b'{"id": "x", "text": "x", "origin": "/etc/passwd"}', "unknown fields origin"),
    (b'{"id": "x", "text": "x", "metadata": {"a": NaN}}', "finite numbers"),
    (b'{"id": "\\ud800", "text": "x"}', "valid Unicode"),
    (b'{"id": "x", "text": "\xff"}', "not valid JSON"),
    (b'{"id": 1' + b"0" * 5000 + b', "text": "x"}', "not valid JSON"),
]


def test_every_broken_line_is_named_and_none_is_stored(client, admin):
    before = client.get("/v1/collections/open", headers=admin).json()["documents"]
    body = b"\n".join(line for line, _ in LINES)
    report = client.post("/v1/collections/open/documents", content=body, headers=admin).json()
    assert (report["stored_lines"], report["added"], report["failed"]) == (len(LINES), 0, len(LINES))
    for number, ((_, reason), failure) in enumerate(zip(LINES, report["failures"], strict=True), 1):
        assert failure["line"] == number and reason in failure["reason"], failure
    assert client.get("/v1/collections/open", headers=admin).json()["documents"] == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[" * 100_000, 400),
        (b"null", 422),
        (b'{"query": 1}', 422),
        (b'{"query": "a", "k": 0}', 422),
        (b'{"query": "a", "k": 1e9}', 422),
        (b'{"query": "a", "nobody": 1}', 422),
        (b'{"query": "a", "vector": [NaN]}', 400),
        (b'{"vector": [1]}', 400),
        (b'{"query": "a", "filter": {"a": {"$where": "1"}}}', 400),
        (b"{}", 400),
        (b'{"query": "a", "serving": 99}', 400),
        (b'{"query": "a", "rerank_budget_ms": 1e400}', 422),
        (b'{"query": "\\ud800"}', 422),
        (b'{"query": "\\u0000"}', 200),
    ],
)
def test_malformed_questions_are_refused(client, admin, body, status):
    headers = {**admin, "Content-Type": "application/json"}
    answer = client.post("/v1/collections/open/search", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 200:
        error_of(answer)
        assert len(answer.content) < 3_000  # what was sent is not sent back


# --- names, filters, models ---


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2f..%2fetc", "%2fetc%2fpasswd", "a%00b", "a%0d%0aX:1", "-x", "é", "a" * 65]
)
def test_no_name_leads_out_of_the_home(client, admin, home, name):
    before = sorted(map(str, home.parent.rglob("*")))
    for method, path in READ[1:] + WRITE[:2]:
        answer = client.request(method, path.replace("/open", f"/{name}", 1), headers=admin)
        assert answer.status_code in (400, 404, 405, 422), (method, path, answer.text)
        assert "root:" not in answer.text
    made = client.post("/v1/collections", json={"name": name}, headers=admin)
    assert made.status_code in (400, 422)
    assert sorted(map(str, home.parent.rglob("*"))) == before


@pytest.mark.parametrize("id_", ["../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "%00"])
def test_no_id_reads_a_file(client, admin, id_):
    assert client.get(f"/v1/collections/open/documents/{id_}", headers=admin).status_code in (400, 404)


@pytest.mark.parametrize(
    "filter",
    [
        "kind = 'x' or 1=1; drop table document",
        "kind = 'x' union select text from document",
        "') or ('1'='1",
        "kind = 'a' -- b",
        "kind in (select 1)",
    ],
)
def test_a_filter_is_never_sql(client, admin, filter):
    asked = client.get("/v1/collections/open/search", params={"q": "a", "filter": filter}, headers=admin)
    assert error_of(asked) == (400, "filter_error")
    assert 0 <= asked.json()["error"]["position"] <= len(filter)
    gone = client.delete("/v1/collections/open/documents", params={"filter": filter}, headers=admin)
    assert error_of(gone) == (400, "filter_error")
    assert client.get("/v1/collections/open", headers=admin).json()["documents"] == 1


def test_a_quote_in_a_filter_is_a_letter(client, admin):
    for filter in ("kind = 'o''clock'", {"kind": "o'clock"}):
        asked = client.post(
            "/v1/collections/open/search", json={"query": "a", "filter": filter}, headers=admin
        )
        assert [one["id"] for one in asked.json()["results"]] == ["a"]
    for empty in ("", "  "):
        gone = client.delete("/v1/collections/open/documents", params={"filter": empty}, headers=admin)
        assert error_of(gone) == (400, "bad_input")


def test_no_model_is_loaded_because_a_request_names_it(client, admin, tmp_path, pickled):
    import pickle

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}])
    )
    (folder / "evil.py").write_text("raise SystemExit(1)")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(pickled))
    for model in (str(folder), "somebody/some-model", "../model"):
        made = client.post("/v1/collections", json={"name": "made", "model": model}, headers=admin)
        assert error_of(made) == (400, "bad_input") and "STLIB_MODELS" in made.json()["error"]["message"]
        asked = {"query": "a", "rerank": model}
        found = client.post("/v1/collections/open/search", json=asked, headers=admin)
        assert error_of(found) == (400, "bad_input") and "STLIB_RERANKERS" in found.json()["error"]["message"]
    names = client.get("/v1/collections", headers=admin).json()["collections"]
    assert "made" not in [one["name"] for one in names]


# --- how often, and what is said of it ---


def test_a_key_may_ask_so_often(home, monkeypatch):
    monkeypatch.setattr("app.api.limits.monotonic", lambda: 0.0)  # however slow the machine
    key = bearer(new_key(home))
    with client_of(home, keys="required", rate=0.5, burst=3) as client:
        answers = [client.get("/v1/collections", headers=key) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert error_of(answers[3]) == (429, "too_many_requests") and answers[3].headers["retry-after"] == "2"
        assert client.get("/v1/collections", headers=bearer(new_key(home))).status_code == 200


def test_a_bucket_fills_again(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("app.api.limits.monotonic", lambda: now[0])
    rate = Rate(2.0, 2)
    assert [rate.seconds_to_wait("a") for _ in range(3)] == [0.0, 0.0, 0.5]
    now[0] = 0.5
    assert rate.seconds_to_wait("a") == 0.0 and rate.seconds_to_wait("a") == 0.5
    assert rate.seconds_to_wait("b") == 0.0


def test_guessing_keys_is_slowed_down(home, monkeypatch):
    monkeypatch.setattr("app.api.limits.monotonic", lambda: 0.0)  # however slow the machine
    with client_of(home, keys="required") as client:
        guesses = [bearer(f"stk_{i:012x}_{'a' * 43}") for i in range(25)]
        statuses = [client.get("/v1/collections", headers=guess).status_code for guess in guesses]
        assert statuses == [401] * 20 + [429] * 5
        assert client.get("/v1/collections", headers=bearer(new_key(home))).status_code == 429


def test_guesses_of_one_do_not_keep_out_others_behind_the_same_address(home, monkeypatch):
    monkeypatch.setattr("app.api.limits.monotonic", lambda: 0.0)
    monkeypatch.setattr(keys, "HELD_SECONDS", 0.0)  # each request asks the table
    made = [new_key(home) for _ in range(2)]
    with client_of(home, keys="required", rate=0) as client:

        def ask(key):
            return client.get("/v1/collections", headers=bearer(key)).status_code

        assert [ask(made[i % 2]) for i in range(50)] == [200] * 50  # what holds is not counted
        assert [ask("nonsense") for _ in range(21)] == [401] * 20 + [429]
        assert [ask(one) for one in made] == [200, 200]
        revoke_key(local_caller(), Location(home), made[0].split("_")[1])
        assert [ask(made[0]), ask(made[0]), ask(made[1])] == [401, 429, 200]


def test_the_log_has_a_line_for_each_request_and_no_text(client, admin, caplog):
    with caplog.at_level("INFO", logger="app.api.requests"):
        asked = {"q": f"the {SECRET_WORD}", "filter": f"kind = '{SECRET_WORD}'"}
        client.get("/v1/collections/open/search", params=asked, headers={**admin, "X-Request-ID": "mine-1"})
        client.post("/v1/collections/open/search", json={"query": SECRET_WORD}, headers=admin)
    said = [record.said for record in caplog.records if hasattr(record, "said")]
    assert {one["path"] for one in said} == {"/v1/collections/open/search"} and said[0]["status"] == 200
    assert said[0]["request_id"] == "mine-1"
    assert len(said) == 2 and SECRET_WORD not in json.dumps(said)
    assert all(one["key"].startswith("key-") and set(one) >= {"method", "ms", "bytes"} for one in said)


@pytest.mark.parametrize("id_", ["a b", "x" * 65, 'a"b', "é", ""])
def test_a_request_id_that_is_none_is_not_repeated(client, id_):
    answer = client.get("/healthz", headers={"X-Request-ID": id_.encode()})
    assert len(answer.headers["x-request-id"]) == 32


def test_what_goes_wrong_inside_tells_no_path(client, admin, home):
    catalog = home / "collections" / "broken" / "catalog.sqlite"
    catalog.parent.mkdir(parents=True)
    catalog.write_bytes(b"no database at all " * 100)
    try:
        answer = client.get("/v1/collections/broken", headers=admin)
        assert error_of(answer) == (500, "internal_error") and str(home) not in answer.text
        listed = client.get("/v1/collections", headers=admin).json()
        assert listed["damaged"] == ["broken"] and str(home) not in json.dumps(listed)
    finally:
        catalog.unlink()
        catalog.parent.rmdir()
