"""The OpenAPI description: what it says of each address, and that the service is as it says."""

from __future__ import annotations

from contextlib import suppress

import pytest
import schemathesis
from httpx2 import InvalidURL
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from indexing import Collection
from tests.services.api import bearer, client_of, new_key

NAMES = {"name": "notes", "id": "a", "set_name": "s", "serving": 1, "number": 1, "job": 1, "model": "m"}
EXAMPLES = 2  # of each address, and as many that its description does not allow
# Keys are tested by themselves below; that no data which fits is refused is more than a description can say:
# a filter is text, and not every text is one.
NOT_CHECKED = [ignored_auth, positive_data_acceptance]
SENT = ("method", "url", "params", "json", "data", "content", "headers", "files")


def as_bytes(_, value):
    """What chance made of a body that is no JSON."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")


for media in ("application/x-ndjson", "application/zip"):
    schemathesis.serializer(media)(as_bytes)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("description") / "home"
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": "a", "text": "Audits are in May."}, {"id": "b", "text": "Tea at four."}])
    return home


@pytest.fixture(scope="module")
def key(home):
    return new_key(home, scope="admin")


@pytest.fixture(scope="module")
def client(home, key):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STLIB_JOBS", "0")  # jobs that are started by chance wait
        with client_of(home, keys="required", rate=0) as client:
            client.headers.update(bearer(key))
            yield client


@pytest.fixture(scope="module")
def described(client):
    return client.get("/openapi.json").json()


def operations(described):
    return [
        (method.upper(), path, one)
        for path, some in described["paths"].items()
        for method, one in some.items()
    ]


def test_every_address_is_described(described):
    shown = operations(described)
    names = [one["operationId"] for _, _, one in shown]
    assert len(names) == len(set(names)) > 50
    tags = {tag["name"] for tag in described["tags"]}
    for method, path, one in shown:
        where = f"{method} {path}"
        assert one["summary"], where
        assert one["operationId"].replace("_", "").isalnum() and "v1" not in one["operationId"].split("_"), (
            where
        )
        assert set(one["tags"]) <= tags and one["tags"], where
        if path in ("/healthz", "/readyz"):
            assert one["security"] == []
            continue
        for status in ("400", "401", "403", "404", "422", "429", "503"):
            content = one["responses"][status]["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}, where
    assert described["security"] == [{"key": []}]


def test_examples_of_the_description_are_understood(client, described):
    """Those of bodies, as they stand there, at the address that they belong to."""
    tried = 0
    for method, path, one in operations(described):
        content = one.get("requestBody", {}).get("content", {}).get("application/json", {})
        reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        for example in described["components"]["schemas"].get(reference, {}).get("examples", ()):
            answer = client.request(method, path.format_map(NAMES), json=example)
            assert answer.status_code not in (422, 500), (path, answer.text)
            tried += 1
    assert tried >= 3


def test_nothing_is_answered_without_a_key(client, described):
    closed = [one for one in operations(described) if one[2].get("security") != []]
    for method, path, _ in closed:
        answer = client.request(method, path.format_map(NAMES), headers={"authorization": ""})
        assert answer.status_code == 401, (method, path)
    for method, path, _ in closed[::10]:  # an address that tries many keys is refused for a while
        answer = client.request(method, path.format_map(NAMES), headers=bearer("stlib-0-none"))
        assert answer.status_code == 401, (method, path)


def test_a_parameter_that_is_misspelled_is_no_parameter_less(client):
    answer = client.get("/v1/collections/notes/search", params={"q": "tea", "filtr": "kind = 'x'"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(
        "unknown parameter 'filtr' of this address; there are:"
    )


def request_of(case):
    """What chance made, as a client takes it."""
    sent = case.as_transport_kwargs(base_url="http://127.0.0.1")
    sent = {name: value for name, value in sent.items() if name in SENT and value is not None}
    if isinstance(sent.get("data"), bytes | str):
        sent["content"] = sent.pop("data")
    return sent


def not_checked(case):
    """A line that is wrong is named in an answer that is none of an error."""
    is_json = case.media_type in (None, "application/json")
    return NOT_CHECKED if is_json else [*NOT_CHECKED, negative_data_rejection]


def pytest_generate_tests(metafunc):
    if "mode" in metafunc.fixturenames:
        modes = schemathesis.GenerationMode
        metafunc.parametrize("mode", [modes.POSITIVE, modes.NEGATIVE], ids=["allowed", "not-allowed"])


def test_the_service_is_as_it_is_described(client, described, mode):
    """Chance asks every address, by what the description allows and by what it does not: no answer is an
    error of the service, or of another shape than described, and nothing is taken that is not allowed.
    """
    asked = 0

    def ask(case):
        nonlocal asked
        if "name" in case.path_parameters:
            case.path_parameters["name"] = "notes"  # by chance it would be one that there is never
        if isinstance(case.body, dict) and "collection" in case.body:
            case.body["collection"] = "notes"
        with suppress(InvalidURL):  # longer than this client sends
            answer = client.request(**request_of(case))
            case.validate_response(answer, excluded_checks=not_checked(case))
            asked += 1

    keyless = {**described, "security": []}  # what is sent has one
    for found in schemathesis.openapi.from_dict(keyless).get_all_operations():
        operation = found.ok()
        chance = settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        with suppress(Unsatisfiable):  # of an address that takes nothing but names nothing is wrong
            chance(given(case=operation.as_strategy(generation_mode=mode))(lambda case: ask(case)))()
    assert asked > 60
