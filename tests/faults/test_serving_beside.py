"""Models are changed while threads search, add and delete: no search fails, and none mixes two models."""

from __future__ import annotations

import multiprocessing
import threading

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput
from indexing.search.settings import Head, SearchSettings

pytestmark = pytest.mark.faults

TEXTS = [f"text {i} d" + "ab" * (i % 7) + "c" * (i % 11) for i in range(120)]


def model_of(dimension):
    """Equal texts have equal vectors, and other models other dimensions: mixing them cannot go unseen."""

    def encode(texts):
        rows = [np.random.default_rng(sum(map(ord, text)) * 31 + len(text)) for text in texts]
        return np.stack([rng.normal(size=dimension) for rng in rows])

    encode.__name__ = f"model_of_{dimension}"
    return encode


class Beside(threading.Thread):
    """Does the same thing again and again until it is stopped; keeps what went wrong."""

    def __init__(self, step):
        super().__init__()
        self._step, self._stopped = step, threading.Event()
        self.rounds, self.failures = 0, []

    def run(self):
        while not self._stopped.is_set() and not self.failures:
            try:
                self._step(self.rounds)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the test shows it
                self.failures.append(failure)
            self.rounds += 1

    def stop(self):
        self._stopped.set()
        self.join(60)
        assert not self.failures, self.failures
        return self.rounds


def test_models_change_beside_searches_and_writes(home):
    with Collection.create("c", model_of(8), home=home, precision="float32") as collection:
        collection.add({"id": str(i), "text": text} for i, text in enumerate(TEXTS))
        known = {collection.search(TEXTS[0]).serving}
        answered = set()

        def search(number):
            i = number % 100
            found = collection.search(TEXTS[i], 3, mode="semantic")
            answered.add(found.serving)
            assert found[0].score == pytest.approx(1.0, abs=1e-5)
            assert TEXTS[i] in {result.text for result in found}

        def write(number):
            collection.add([{"id": f"new-{number}", "text": f"new text {number}"}])
            assert f"new-{number}" in {r.id for r in collection.search(f"new text {number}", mode="semantic")}
            collection.delete([str(100 + number % 20)])

        searching, writing = Beside(search), Beside(write)
        searching.start()
        writing.start()
        for dimension in (5, 12, 3):
            report = collection.reindex(model_of(dimension))
            known.add(report.serving.id)
            collection.rollback()
            collection.promote(report.serving.id)
        searches, writes = searching.stop(), writing.stop()
        assert searches > 10
        assert answered <= known
        assert len(answered) > 1
        assert collection.verify().clean
        assert {document.id for document in collection} == {str(i) for i in range(100)} | {
            str(100 + n) for n in range(writes, 20)
        } | {f"new-{n}" for n in range(writes)}
        for _ in range(3):  # every serving has followed all of it
            collection.rollback()
            assert len(collection.search("text", 1000, mode="semantic")) == len(collection)
        with pytest.raises(BadInput, match="no earlier serving"):
            collection.rollback()


QUESTIONS = [f"d{'ab' * (n % 7)} c" for n in range(7)]


def learned(dimension, head):
    """Settings that turn the order of answers about: another head, and other weights."""
    rotation = np.linalg.qr(np.random.default_rng(head).normal(size=(dimension, dimension)))[0]
    return SearchSettings(weights={"keyword": 0.1 * head}, head=Head(rotation.astype(np.float32)))


def answers_of(collection, serving):
    return {question: [r.id for r in collection.search(question, serving=serving)] for question in QUESTIONS}


def test_ten_threads_search_while_servings_change(home):
    """Every answer is wholly that of one serving, or of the two that are tried, and says which."""
    with Collection.create("c", model_of(8), home=home) as collection:
        collection.add({"id": str(i), "text": text} for i, text in enumerate(TEXTS))
        made = collection.create_serving(learned(8, 1), note="learned").id
        expected = {serving: answers_of(collection, serving) for serving in (1, made)}
        assert expected[1] != expected[made]
        seen = set()

        def search(number):
            question = QUESTIONS[number % len(QUESTIONS)]
            found = collection.search(question, seed=str(number))
            ids = [result.id for result in found]
            seen.add((found.serving, found.trial))
            if found.trial is None:
                assert ids == expected[found.serving][question]
                return
            assert found.trial == (1, made)
            for team in found.trial:
                theirs = [id_ for id_, by in zip(ids, found.teams, strict=True) if by == team]
                order = expected[team][question]
                assert theirs == [id_ for id_ in order if id_ in theirs]

        readers = [Beside(search) for _ in range(10)]
        for reader in readers:
            reader.start()
        for _ in range(20):
            collection.promote(made, override="to see")
            collection.rollback()
            collection.start_trial(made)
            collection.end_trial()
        assert sum(reader.stop() for reader in readers) > 20
        assert {(1, None), (made, None)} <= seen


def read_in_a_process(home, expected, started, stop, failed):
    with Collection.open("c", home=home) as collection:
        started.set()
        while not stop.is_set():
            found = collection.search(QUESTIONS[0])
            if [result.id for result in found] != expected[found.serving][QUESTIONS[0]]:
                failed.set()


def test_other_processes_notice_a_promotion_and_a_rollback(home):
    """At once: what begins after the call returned is answered by what is live then."""
    with Collection.create("c", home=home) as collection:
        collection.add({"id": str(i), "text": text} for i, text in enumerate(TEXTS))
        made = collection.create_serving(learned(256, 1), note="learned").id
        expected = {serving: answers_of(collection, serving) for serving in (1, made)}
        context = multiprocessing.get_context("spawn")
        started, stop, failed = (context.Event() for _ in range(3))
        reader = context.Process(target=read_in_a_process, args=(home, expected, started, stop, failed))
        reader.start()
        try:
            assert started.wait(60)
            with Collection.open("c", home=home) as other:
                for _ in range(10):
                    collection.promote(made, override="to see")
                    assert other.search(QUESTIONS[0]).serving == made
                    collection.rollback()
                    assert other.search(QUESTIONS[0]).serving == 1
        finally:
            stop.set()
            reader.join(60)
        assert not failed.is_set()
        assert reader.exitcode == 0
