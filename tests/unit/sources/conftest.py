"""A folder and the collection that is kept in step with it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from indexing import Collection
from indexing.sources import compare


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "docs"
    path.mkdir()
    return path


@pytest.fixture
def collection(home):
    with Collection.create("c", home=home) as collection:
        yield collection


@pytest.fixture(autouse=True)
def a_fine_clock(monkeypatch):
    """Files that were changed a moment ago count as safely changed before: tests do not wait two seconds."""
    monkeypatch.setattr(compare, "GRAIN", -(10**12))


@pytest.fixture
def write(folder):
    """Writes files of the folder, each a moment newer than all before."""
    moment = [time.time_ns() - 10**12]

    def write(files: dict[str, str]) -> Path:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            moment[0] += 10**9
            os.utime(path, ns=(moment[0], moment[0]))
        return folder

    return write


@pytest.fixture
def texts():
    """id → text of all documents."""
    return lambda collection: {document.id: document.text for document in collection.documents()}
