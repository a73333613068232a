"""docker-compose.yml and its Dockerfile, as far as they can be judged without Docker."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest

from app.facade.jobs import _STOP_SECONDS


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
    services = deployment.compose["services"]
    assert sorted(services) == ["page", "worker"]
    assert {service["image"] for service in services.values()} == {"stlib:local"}
    assert [service["volumes"] for service in services.values()] == [["data:/data"], ["data:/data"]]
    assert list(deployment.compose["volumes"]) == ["data"]


@pytest.mark.parametrize("name", ["page", "worker"])
def test_a_service_may_do_as_little_as_possible(deployment, name):
    service = deployment.compose["services"][name]
    assert service["read_only"] is True and service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["restart"] == "unless-stopped"
    assert not {"privileged", "network_mode", "pid", "user", "cap_add", "devices"} & set(service)


def test_the_page_is_published_to_this_machine_alone(deployment):
    assert deployment.compose["services"]["page"]["ports"] == ["127.0.0.1:8501:8501"]
    assert "ports" not in deployment.compose["services"]["worker"]


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
    assert 'ARG TORCH=""' in deployment.dockerfile and 'ARG EXTRAS="app"' in deployment.dockerfile
    arguments = deployment.compose["services"]["page"]["build"]["args"]
    assert (arguments["TORCH"], arguments["EXTRAS"]) == ("${TORCH:-}", "${EXTRAS:-app}")


def test_the_top_has_no_other_new_file(deployment):
    allowed = {"pyproject.toml", "README.md", "Makefile", "docker-compose.yml", "LICENSE", "CHANGELOG.md"}
    allowed |= {"CONTRIBUTING.md", "app", "stlib", "indexing", "tests", "data", "shared", "dist", "build"}
    allowed.add("tmp_trainer")  # where trainers write that are given no folder, as some in tests are
    assert {path.name for path in deployment.root.iterdir() if path.name[0] != "."} <= allowed
