"""Homes with a collection, for those who fill it by uploads."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import app.jobs.queue
from app.facade.caller import Caller
from app.facade.collections import Incoming, create_collection
from app.settings import Location
from tests.unit.places.interpolation import interpolate


@pytest.fixture
def caller():
    """A visitor who may do everything."""
    return Caller("ann", "page", "s1")


@pytest.fixture
def location(home, caller, monkeypatch):
    """A home with the empty collection `notes`, in which jobs stay queued."""
    monkeypatch.setattr(app.jobs.queue, "spawn", lambda place, id_, *options: None)
    location = Location(home)
    create_collection(caller, location, "notes")
    return location


@pytest.fixture
def files():
    """What a browser brings: names and bytes."""
    return lambda *pairs: [Incoming(name, BytesIO(data)) for name, data in pairs]


@pytest.fixture(scope="session")
def deployment():
    """What docker-compose.yml and its Dockerfile say: instructions have their continued lines joined,
    `environment` and `entrypoint` are those of the final image, and `services(**variables)` are those that
    start where these variables are set.
    """
    root = Path(__file__).resolve().parents[3]
    dockerfile = (root / "app" / "Dockerfile").read_text("utf-8")
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    steps = [(name, " ".join(rest.split())) for name, rest in lines]
    last = max(i for i, (name, _) in enumerate(steps) if name == "FROM")
    given = " ".join(rest for name, rest in steps[last:] if name == "ENV")
    compose = yaml.safe_load((root / "docker-compose.yml").read_text("utf-8"))

    def services(**variables):
        profiles = set(filter(None, variables.get("COMPOSE_PROFILES", "").split(",")))
        said = interpolate(compose, variables)["services"]
        return {
            name: one
            for name, one in said.items()
            if "profiles" not in one or profiles & set(one["profiles"])
        }

    return SimpleNamespace(
        root=root,
        compose=compose,
        services=services,
        dockerfile=dockerfile,
        steps=steps,
        environment=dict(pair.split("=", 1) for pair in given.split()),
        entrypoint=json.loads(dict(steps)["ENTRYPOINT"]),
    )
