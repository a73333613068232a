"""docker-compose.yml and its Dockerfile, as far as they can be judged without Docker."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest

from app.api.settings import ServiceSettings
from app.facade.jobs import _STOP_SECONDS
from tests.unit.places.interpolation import Missing, interpolate

TEAM = {"COMPOSE_PROFILES": "team", "STLIB_DB_PASSWORD": "p@ss/w:rd"}


@pytest.mark.parametrize("break_it", [None, "restrat", "port", "command"])
def test_it_is_what_the_specification_allows(deployment, break_it):
    """With the schema of the specification, which a tool of the tests carries."""
    path = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(path.read_text("utf-8"))
    compose = json.loads(json.dumps(deployment.compose))
    if break_it == "restrat":
        compose["services"]["page"]["restrat"] = "always"
    elif break_it == "port":
        compose["services"]["page"]["ports"] = [{"published": []}]
    elif break_it == "command":
        compose["services"]["worker"]["command"] = {"run": "it"}
    errors = [
        error.message for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(compose)
    ]
    assert bool(errors) == (break_it is not None), errors


def test_two_services_share_one_image_and_one_volume(deployment):
    services = deployment.services()
    assert sorted(services) == ["page", "worker"]
    assert {service["image"] for service in services.values()} == {"stlib:local"}
    secrets = "/dev/null:/run/secrets/page.toml:ro"
    assert [services[name]["volumes"] for name in ("page", "worker")] == [
        ["data:/data", secrets],
        ["data:/data"],
    ]


def test_without_the_profile_nothing_of_it_is_asked_for_or_said(deployment):
    services = deployment.services()
    assert services["page"]["environment"] == {
        "STLIB_HOST": "0.0.0.0",
        "STLIB_JOBS": "0",
        "STLIB_SERVER": "",
        "STLIB_SERVER_KEY": "",
        "STREAMLIT_SECRETS_FILES": "/run/secrets/page.toml",
    }
    assert services["worker"]["environment"] == {"STLIB_JOBS": "1", "STLIB_DB": "", "PGPASSWORD": ""}
    limited = deployment.services(STLIB_RIGHTS="search")
    assert limited["page"]["environment"]["STLIB_RIGHTS"] == "search"


def test_who_may_sign_in_is_told_to_the_page(deployment):
    given = {
        "STLIB_ROLES": "editors=write",
        "STLIB_ROLE_CLAIM": "groups",
        "STLIB_NAME_CLAIM": "email",
        "STLIB_SIGN_IN_HOURS": "2",
        "STLIB_ADMIN_FOR_ALL": "1",
    }
    page = deployment.services(**given, STLIB_PAGE_SECRETS="/etc/page.toml", **TEAM)["page"]
    assert given.items() <= page["environment"].items()
    assert f"/etc/page.toml:{page['environment']['STREAMLIT_SECRETS_FILES']}:ro" in page["volumes"]


def test_a_team_has_a_database_and_a_service_too(deployment):
    services = deployment.services(**TEAM)
    assert sorted(services) == ["page", "postgres", "service", "worker"]
    for name in ("service", "worker"):
        environment = services[name]["environment"]
        assert environment["STLIB_DB"] == "postgresql://stlib@postgres:5432/stlib"
        assert environment["PGPASSWORD"] == "p@ss/w:rd"
        assert services[name]["volumes"] == ["data:/data"]
        assert services[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
    page = services["page"]["environment"]
    assert page["STLIB_SERVER"] == "http://service:8800" and "PGPASSWORD" not in page
    assert "service" in services["service"]["environment"]["STLIB_HOSTS"].split(",")


@pytest.mark.parametrize("given", [{}, {"STLIB_DB_PASSWORD": ""}])
def test_there_is_no_usual_password(deployment, given):
    with pytest.raises(Missing, match=r"STLIB_DB_PASSWORD.*choose a password for the database"):
        deployment.services(COMPOSE_PROFILES="team", **given)
    # Chosen by --profile, which no variable tells: the image refuses an empty one.
    alone = interpolate(deployment.compose, {})["services"]
    assert alone["postgres"]["environment"]["POSTGRES_PASSWORD"] == ""
    assert alone["service"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_only_those_who_need_the_database_reach_it(deployment):
    compose = deployment.compose
    assert compose["networks"]["database"] == {"internal": True}
    reaching = [
        name for name, one in compose["services"].items() if "database" in one.get("networks", ["default"])
    ]
    assert sorted(reaching) == ["postgres", "service", "worker"]
    assert compose["services"]["postgres"]["networks"] == ["database"]


@pytest.mark.parametrize("name", ["page", "worker", "service", "postgres"])
def test_a_service_may_do_as_little_as_possible(deployment, name):
    service = deployment.compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service
    assert not {"privileged", "network_mode", "pid", "cap_add", "devices"} & set(service)
    if name == "postgres":  # another image, which would begin as root
        assert service["user"] == "postgres"
        assert service["tmpfs"] == ["/tmp", "/var/run/postgresql"]
    else:
        assert service["init"] is True and service["tmpfs"] == ["/tmp"] and "user" not in service


def test_ports_are_published_to_this_machine_alone(deployment):
    published = {name: one.get("ports") for name, one in deployment.compose["services"].items()}
    assert published == {
        "page": ["127.0.0.1:8501:8501"],
        "service": ["127.0.0.1:8800:8800"],
        "worker": None,
        "postgres": None,
    }


def test_the_service_has_the_time_it_needs_to_stop(deployment):
    grace = deployment.compose["services"]["service"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= ServiceSettings().shutdown_seconds + 5


def test_a_worker_has_the_time_it_needs_to_stop(deployment):
    grace = deployment.compose["services"]["worker"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) >= _STOP_SECONDS + 5


def test_the_dockerfile_copies_what_is_there_and_what_docker_may_see(deployment):
    steps = deployment.steps
    copied = [
        source
        for name, rest in steps
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert copied == ["pyproject.toml", "README.md", "LICENSE", "stlib", "indexing", "app", "data/models"]
    assert all((deployment.root / source).exists() for source in copied)
    seen = (deployment.root / ".dockerignore").read_text().split()
    assert seen[0] == "*"
    assert {one[1:] for one in seen if one[0] == "!"} == set(copied) | {"data"}


def test_what_the_wheel_needs_is_copied(deployment):
    """Files that the build of the package names."""
    project = (deployment.root / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*?)\]", project, re.MULTILINE)[1]
    included = re.findall(r'^"(data/[\w/-]+)" = ', project, re.MULTILINE)
    dockerfile = deployment.dockerfile
    for package in re.findall(r'"(\w+)"', packages):
        assert f"COPY {package} {package}\n" in dockerfile
    assert included and all(one.startswith("data/models/") for one in included)
    for named in re.findall(r'^(?:readme = |license-files = \[)"([\w.]+)"', project, re.MULTILINE):
        assert named in dockerfile


def test_the_image_runs_as_nobody_special(deployment):
    steps = deployment.steps
    last = [name for name, _ in steps].index("FROM", 1)
    final = steps[last:]
    assert ("USER", "stlib") in final
    after = [name for name, _ in final[final.index(("USER", "stlib")) :]]
    assert "RUN" not in after and "COPY" not in after
    assert ("ENTRYPOINT", '["stlib"]') in final
    images = [rest.split()[0] for name, rest in steps if name == "FROM"]
    assert images == ["python:3.12-slim"] * 2


def test_torch_is_installed_only_when_asked_for(deployment):
    assert (
        'ARG TORCH=""' in deployment.dockerfile
        and 'ARG EXTRAS="app,serve,mcp,postgres"' in deployment.dockerfile
    )
    arguments = deployment.compose["services"]["page"]["build"]["args"]
    assert (arguments["TORCH"], arguments["EXTRAS"]) == ("${TORCH:-}", "${EXTRAS:-app,serve,mcp,postgres}")


def test_the_top_has_no_other_new_file(deployment):
    allowed = {"pyproject.toml", "README.md", "Makefile", "docker-compose.yml", "LICENSE", "CHANGELOG.md"}
    allowed |= {"CONTRIBUTING.md", "app", "stlib", "indexing", "tests", "data", "shared", "dist", "build"}
    allowed.add("tmp_trainer")  # where trainers write that are given no folder, as some in tests are
    assert {path.name for path in deployment.root.iterdir() if path.name[0] != "."} <= allowed
