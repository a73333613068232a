"""Questions with passages that are near in meaning: their own, and others that the bundled model finds."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence

import numpy as np

from data.recipe.text import Pair
from data.reranker.mine import (
    ALL,
    ASKING,
    ASKING_OTHERS,
    INDEXED,
    RANKS,
    Candidates,
    capped,
    chosen_of,
    usable,
)
from stlib.runtime import Encoder

logger = logging.getLogger(__name__)

_QUESTIONS = 256  # searched at a time
_SEED = 20_261_130


def mine(pairs: Sequence[Pair], limit: int) -> Iterator[Candidates]:
    """The passages of ``pairs``, searched with at most ``limit`` of their questions as the semantic leg of an
    index does, but many questions at a time.
    """
    chooser = random.Random(_SEED)  # noqa: S311 - sampling, not security
    pairs = capped(usable(pairs, chooser), INDEXED, ALL)
    asking = capped(pairs, ASKING, ASKING_OTHERS)[:limit]
    logger.info("%d passages, %d questions", len(pairs), len(asking))
    encoder = Encoder.load()
    passages = encoder.encode([pair.text for pair in pairs])
    questions = encoder.encode([pair.query for pair in asking])
    for start in range(0, len(asking), _QUESTIONS):
        found = _nearest(questions[start : start + _QUESTIONS], passages, RANKS[-1][1] + 1)
        for pair, near in zip(asking[start : start + _QUESTIONS], found.tolist(), strict=True):
            others = [text for text in dict.fromkeys(pairs[at].text for at in near) if text != pair.text]
            if len(others) >= RANKS[-1][1] // 2:
                yield Candidates(pair.source, pair.query, [pair.text, *chosen_of(others, chooser)])


def _nearest(questions: np.ndarray, passages: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the passages nearest to each question, best first, int64 ``[questions, count]``."""
    scores = questions @ passages.T
    best = np.argpartition(-scores, count, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
