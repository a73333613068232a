"""From where somebody may ask, and when without a key: names, pages, proxies."""

from __future__ import annotations

import pytest

from app.api.origins import Origins
from app.api.settings import read_settings
from app.facade import keys
from app.facade.caller import local_caller
from app.facade.keys import revoke_key
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput
from tests.services.api import bearer, client_of, new_key
from tests.services.test_api_security import error_of


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("asked") / "home"
    with Collection.create("open", home=home) as collection:
        collection.add([{"id": "a", "text": "An apple."}])
    return home


@pytest.fixture(scope="module")
def local(home):
    """As on a laptop: without keys."""
    with client_of(home, origins="https://good.example") as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "",
        "localhost:x",
        "a/b",
        "10.0.0.1",
    ],
)
def test_another_name_is_not_answered_on_loopback_too(local, host):
    assert error_of(local.get("/v1/collections", headers={"Host": host}))[0] == 421
    assert local.get("/healthz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8800", "127.0.0.1:1", "[::1]:8800"])
def test_this_machine_is_answered_by_each_of_its_names(local, host):
    assert local.get("/v1/collections", headers={"Host": host}).status_code == 200


PAGES = [
    ({}, 200),
    ({"Origin": "http://127.0.0.1"}, 200),
    ({"Origin": "https://good.example"}, 200),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "https://good.example.evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1:9999"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
]


@pytest.mark.parametrize(("headers", "status"), PAGES)
def test_pages_of_others_may_not_ask(local, headers, status):
    answer = local.post("/v1/collections/open/search", json={"query": "a"}, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto", "CF-Connecting-IP"]
)
def test_who_comes_by_a_proxy_needs_a_key_on_loopback_too(home, local, header):
    assert error_of(local.get("/v1/collections", headers={header: "203.0.113.7"})) == (401, "bad_key")
    headers = {header: "203.0.113.7", **bearer(new_key(home))}
    assert local.get("/v1/collections", headers=headers).status_code == 200


def test_keys_are_asked_for_on_loopback_once_one_was_made(tmp_path, monkeypatch):
    """A proxy need not say that it is one."""
    monkeypatch.setattr(keys, "HELD_SECONDS", 0.0)
    with client_of(tmp_path / "new", keys="auto") as client:
        assert client.get("/v1/collections").status_code == 200
        key = new_key(tmp_path / "new")
        assert error_of(client.get("/v1/collections")) == (401, "bad_key")
        assert client.get("/v1/collections", headers=bearer(key)).status_code == 200
        revoke_key(local_caller(), Location(tmp_path / "new"), key.split("_")[1])
        assert client.get("/v1/collections").status_code == 401  # it opens nothing to everybody
    with client_of(tmp_path / "named", keys="auto", hosts="search.example") as client:
        assert error_of(client.get("/v1/collections")) == (401, "bad_key")


def test_browsers_let_pages_of_listed_origins_read(home):
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    with client_of(home, keys="required", origins="https://good.example") as client:
        path, good = "/v1/collections/open/search", {"Origin": "https://good.example"}
        told = client.options(path, headers={**good, **asked})
        assert (told.status_code, told.content) == (204, b"")
        names = ("origin", "methods", "headers")
        said = ["https://good.example", "GET, POST, PUT, DELETE", "authorization,content-type"]
        assert [told.headers[f"access-control-allow-{name}"] for name in names] == said
        key = bearer(new_key(home))
        for headers, status in ((key, 200), ({}, 401)):
            answer = client.post(path, json={"query": "a"}, headers={**good, **headers})
            assert answer.status_code == status and answer.headers["vary"] == "Origin"
            assert answer.headers["access-control-allow-origin"] == "https://good.example"
        for origin in ("https://evil.example", "http://127.0.0.1"):
            other = client.options(path, headers={"Origin": origin, **asked})
            assert other.status_code in (401, 403) and "access-control-allow-origin" not in other.headers
        assert client.options(path, headers={**good, **asked, "Host": "evil.example"}).status_code == 421


def test_elsewhere_any_address_is_right_and_only_known_names():
    origins = Origins(False, ["search.example.com"], [])
    allowed = ["10.0.0.7:8800", "[fe80::1]", "search.example.com:80", "localhost"]
    assert [origins.allows_host(host) for host in allowed] == [True] * 4
    assert not origins.allows_host("evil.example") and not origins.allows_host(None)
    assert Origins(False, ["*"], []).allows_host("evil.example")


def test_keys_may_be_left_away_on_loopback_only():
    assert not read_settings(host="127.0.0.1").needs_key and not read_settings(host="::1").needs_key
    assert read_settings(host="0.0.0.0").needs_key and read_settings(host="192.168.0.2").needs_key
    assert read_settings(keys="required").needs_key
    with pytest.raises(
        BadInput, match=r"STLIB_KEYS: Input should be 'auto', 'elsewhere' or 'required', got 'off'"
    ):
        read_settings(keys="off")
