"""A collection whose rankings are known, questions of it, and servings to compare."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app.feedback.judged import JudgedSet, Question
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import close_databases
from app.settings import Location
from indexing import Collection


def make_question(id_, grades, side="heldout", *, returning=False, text=None):
    return Question(id_, text or f"question {id_}", side, returning, grades)


class Figures:
    """Stands for a collection: each serving ranks as it is told; `asked` are the servings that were."""

    name, uuid = "figures", "uuid of figures"

    def __init__(self, rankings):
        self.ranking = rankings
        self.asked = []
        self.verdicts = {}

    def servings(self):
        gate = {"verdict": "pending"}
        return [SimpleNamespace(id=one, live=one == 1, gate=gate) for one in self.ranking]

    def rankings(self, queries, *, mode, depth, serving):
        self.asked.append(serving)
        return {id_: self.ranking[serving][id_][:depth] for id_ in queries}

    def record_gate(self, serving, gate):
        self.verdicts[serving] = gate


@pytest.fixture
def location(home):
    location = Location(home)
    yield location
    feedback_log(feedback_place(location)).flush()
    close_databases()


@pytest.fixture
def planted():
    """A collection and its judged questions, of which the candidate, serving 2, moves the answer from a rank
    to another: `planted([(3, 1), (1, 1)])`. Rank 0 is nowhere. What stands around it is judged 0.
    """

    def plant(moves, side="heldout", judged_others=True):
        before, after, questions = {}, {}, []
        for number, (old, new) in enumerate(moves):
            id_ = f"{number:05}"
            others = [f"{id_}-{at}" for at in range(10)]
            grades = {"answer": 1} | (dict.fromkeys(others, 0) if judged_others else {})
            questions.append(make_question(id_, grades, side, text=f"{number * 7919} {number}"))
            before[id_] = _at(others, old)
            after[id_] = _at(others, new)
        return Figures({1: before, 2: after}), JudgedSet(tuple(questions))

    return plant


def _at(others, rank):
    return others if rank == 0 else [*others[: rank - 1], "answer", *others[rank - 1 :]][:10]


@pytest.fixture
def generator():
    return np.random.default_rng(11)


@pytest.fixture
def notes(location):
    with Collection.create("notes", **location.arguments()) as collection:
        words = "whale iron bread music law bridge honey rocket garden winter".split()
        collection.add(
            {
                "id": f"n{number}",
                "text": f"note {number} about {words[number % 10]}",
                "metadata": {"n": number},
            }
            for number in range(60)
        )
        yield collection
