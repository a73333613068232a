"""A collection of four animals, on the bundled model and real engines."""

from __future__ import annotations

import pytest

from indexing import Collection

ANIMALS = [
    {
        "id": "whale",
        "title": "Whale",
        "text": "Whales breathe air through a blowhole.",
        "metadata": {"legs": 0, "tags": ["sea", "mammal"]},
    },
    {
        "id": "bee",
        "title": "Bee",
        "text": "Bees make honey and dance to show where flowers are.",
        "metadata": {"legs": 6, "tags": ["air"]},
    },
    {
        "id": "dog",
        "title": "Dog",
        "text": "Dogs bark at strangers and guard the house.",
        "metadata": {"legs": 4, "tame": True},
    },
    {
        "id": "cat",
        "title": "Cat",
        "text": "Cats purr when they are content.",
        "metadata": {"legs": 4, "tame": True},
    },
]


@pytest.fixture
def documents():
    """Whale, bee, dog and cat, in this order."""
    return ANIMALS


@pytest.fixture
def animals(home):
    """The collection of them."""
    with Collection.create("animals", home=home) as collection:
        collection.add(ANIMALS)
        yield collection
