"""What several kinds of tests need."""

from __future__ import annotations

import pytest


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="how often the crash test kills the indexer (20)")


@pytest.fixture
def home(tmp_path):
    """A fresh folder for collections."""
    return tmp_path / "home"
