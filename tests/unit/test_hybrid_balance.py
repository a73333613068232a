"""Hybrid ranking where one leg could swamp the other: odd documents, duplicates, words that occur once."""

from __future__ import annotations

import random

import pytest

from indexing import ChunkSettings, Collection
from indexing.search.fuse import SHARE_CAP

NOTES = {
    "battery": "A battery turns chemical energy into electric current.",
    "bees": "Bees find flowers by colour, scent and a dance that other bees perform in the hive.",
    "bread": "Dough rises because yeast makes gas that is caught in the gluten.",
    "cheese": "Rennet curdles milk; the curds are pressed and aged into cheese.",
    "chess": "The queen is the strongest piece; castling protects the king.",
    "clouds": "Clouds form when moist air cools and water condenses on dust.",
    "coffee": "Caffeine keeps you awake, because it blocks what makes you sleepy.",
    "glass": "Glass is sand, melted at a high temperature and cooled quickly.",
    "owl": "Owls fly silently, because their feathers have soft edges.",
    "piano": "Pressing a key of the piano makes a hammer strike strings.",
    "rust": "Iron rusts when water and air reach it.",
    "ships": "A ship floats because it displaces water of its own weight.",
    "soap": "Soap molecules surround grease, so that water can wash it away.",
    "taxes": "Taxes on income are due each spring; deductions lower them.",
    "tides": "The moon's gravity pulls the sea and makes high and low tides.",
    "violin": "A bow makes the string of a violin vibrate; the body makes it loud.",
    "invoice": "The plumber's invoice for the sink, reference QX4711, was settled on 14 March.",
}
QUESTIONS = ("which spring date was QX4711 settled", "plumber reminder about cheese, violin and piano music")


def answers(home, more=()):
    """For each question the ids without `more`, best first, and each document's semantic share."""
    documents = [{"id": name, "text": text} for name, text in NOTES.items()]
    with Collection.create("c", home=home) as collection:
        collection.add([*documents, *more])
        found = [collection.search(question, len(NOTES) + len(more)).results for question in QUESTIONS]
    kept = [[result for result in results if result.id in NOTES] for results in found]
    shares = [{result.id: result.parts["semantic_share"] for result in results} for results in kept]
    return [[result.id for result in results] for results in kept], shares


def test_one_long_odd_document_changes_no_more_than_a_short_one(home):
    """A document counts once for how similar documents are on the whole, however many passages it has."""
    short_order, short = answers(home / "one", [{"id": "odd", "text": "x" * 1000}])
    long_order, long = answers(home / "other", [{"id": "odd", "text": "x" * 200_000}])
    assert [order[:5] for order in long_order] == [order[:5] for order in short_order]
    for before, after in zip(short, long, strict=True):
        assert after == pytest.approx(before, rel=0.05, abs=0.1)


@pytest.mark.parametrize("text", ["x" * 200_000, "water " * 20_000])
def test_an_odd_document_hardly_changes_the_others(home, text):
    _, without = answers(home / "without")
    _, beside = answers(home / "other", [{"id": "odd", "text": text}])
    for before, after in zip(without, beside, strict=True):
        assert after == pytest.approx(before, rel=0.15, abs=0.05)


def test_many_equal_documents_change_no_more_than_one(home):
    _, once = answers(home / "one", [{"id": "odd", "text": "x" * 1000}])
    _, often = answers(home / "other", [{"id": f"odd{i}", "text": "x" * 1000} for i in range(300)])
    for before, after in zip(once, often, strict=True):
        assert after == pytest.approx(before, rel=0.01, abs=0.01)


def test_a_number_that_only_one_document_has_finds_it_among_look_alikes(home):
    """The ends of some have a passage to themselves, whose vectors stand out far for any number."""
    rng = random.Random(7)
    words = " ".join(list(NOTES.values())).split()
    texts = [
        f"{' '.join(rng.choices(words, k=rng.randint(19, 21)))} reference {10000 + 7 * i}"
        for i in range(1500)
    ]
    with Collection.create("c", home=home, chunk=ChunkSettings(32, 0)) as collection:
        collection.add({"id": f"d{i}", "text": text} for i, text in enumerate(texts))
        for i in range(0, 1500, 125):
            question = f"reference {10000 + 7 * i}"
            assert collection.search(question, 1, mode="keyword").results[0].id == f"d{i}"
            found = collection.search(question, 10).results
            assert f"d{i}" in [result.id for result in found]
            assert max(result.parts["semantic_share"] for result in found) <= SHARE_CAP * (1 + 1e-9)
