"""Feedback to read judgments from."""

from __future__ import annotations

import numpy as np
import pytest

from app.settings import Location
from indexing import Collection


@pytest.fixture
def location(home):
    return Location(home)


@pytest.fixture
def collection(location):
    """Six documents, d0 to d5."""
    with Collection.create("books", lambda texts: np.ones((len(texts), 4)), **location.arguments()) as made:
        made.add([{"id": f"d{i}", "text": f"text {i}"} for i in range(6)])
        yield made
