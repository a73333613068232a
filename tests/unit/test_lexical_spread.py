"""The estimated spread of BM25 over a collection."""

from __future__ import annotations

import math

import numpy as np
import pytest

from indexing.lexical import LexicalSnapshot, LexicalWriter
from indexing.lexical.analysis import TITLE_WEIGHT


def publish(folder, documents):
    with LexicalWriter(folder) as writer:
        writer.apply((key, title, text) for key, (title, text) in enumerate(documents))
        writer.publish(folder / "words-1", {})
    return LexicalSnapshot.open(folder / "words-1")


def test_by_hand(tmp_path):
    snapshot = publish(tmp_path, [("", "whale"), ("", "bread"), ("", "bread"), ("", "iron")])
    idf = math.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    share = 2.5 / 5
    assert snapshot.spread("bread") == pytest.approx(math.sqrt(share * (1 - share)) * idf * 2.2)
    assert snapshot.spread("unknown words") == 0.0
    assert snapshot.spread("") == 0.0


def test_titles_count_by_their_weight(tmp_path):
    snapshot = publish(tmp_path, [("Whale", "a"), ("", "bread"), ("", "iron")])
    idf, share = math.log(1 + 2.5 / 1.5), 1.5 / 4
    variance = share * (1 - share) * (idf * 2.2) ** 2
    assert snapshot.spread("whale") == pytest.approx(math.sqrt(variance * (1 + TITLE_WEIGHT**2)))


def test_follows_the_real_spread(tmp_path):
    """Questions whose scores spread more are estimated to do so."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    weights = 1 / np.arange(1, 301)
    texts = [("", " ".join(rng.choice(words, 30, p=weights / weights.sum()))) for _ in range(600)]
    snapshot = publish(tmp_path, texts)
    real, estimated = [], []
    for _ in range(60):
        query = " ".join(rng.choice(words, rng.integers(1, 8), replace=False))
        scores = np.zeros(600)
        hits = snapshot.search(query, 600)
        scores[hits.doc_keys] = hits.scores
        real.append(scores.std())
        estimated.append(snapshot.spread(query))
    assert np.corrcoef(real, estimated)[0, 1] > 0.8
