"""Homes with a collection, for those who fill it by uploads."""

from __future__ import annotations

from io import BytesIO

import pytest

import app.jobs.queue
from app.facade.caller import Caller
from app.facade.collections import Incoming, create_collection
from app.settings import Location


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
