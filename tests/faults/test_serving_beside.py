"""Models are changed while threads search, add and delete: no search fails, and none mixes two models."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput

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
