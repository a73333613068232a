"""A collection of some notes, and models of three dimensions whose vectors are known."""

from __future__ import annotations

import numpy as np
import pytest

from indexing import Collection

WORDS = "whale iron bread music law bridge honey rocket garden winter".split()


def note(number: int) -> dict:
    word = WORDS[number % len(WORDS)]
    return {"id": f"n{number:04}", "text": f"note {number} about {word}", "metadata": {"n": number}}


@pytest.fixture
def notes(home):
    """300 notes on ten subjects."""
    with Collection.create("notes", home=home) as collection:
        collection.add(note(number) for number in range(300))
        yield collection


@pytest.fixture
def letters():
    """Counts the letters a, b and c of a text; `calls` are the texts it was given."""

    def count_letters(texts):
        count_letters.calls.extend(texts)
        return np.array([[text.count(letter) + 0.1 for letter in "abc"] for text in texts])

    count_letters.calls = []
    return count_letters


@pytest.fixture
def lengths():
    """Another model: the length of a text, one, and its number of spaces."""
    return lambda texts: np.array([[len(text), 1.0, text.count(" ")] for text in texts])
