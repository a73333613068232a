"""Made-up passages for `bench_ten_million`: vectors as a model's are, and a few words, block by block.

A vector is its topic's centre with a passage's own part. There are 20,000 topics in 200 fields, a few large
ones and many small (the i-th in proportion to 1 / (i + 20)); centres have a spectrum that falls as those of
models do, and what is a passage's own lies in 64 of 256 directions. Questions are passages with noise, 0.9 as
long as the passage, and passages of no document. For 300,000 sentences of documentation and the bundled
static model the ten best by int8 codes are among the 400, 1,000 and 2,000 nearest by bits in 0.971, 0.989 and
0.994 of the cases; for as many of these vectors in 0.972, 0.994 and 0.999.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from indexing.quantization import Codec

__all__ = ["BLOCK_ROWS", "DIMENSION", "FIELDS", "BestRows", "Passages", "documents"]

BLOCK_ROWS = 10_000
DIMENSION = 256
FIELDS = 2  # of metadata
TOPICS, TOPIC_FIELDS, OWN_DIRECTIONS = 20_000, 200, 64
FALL = 0.35  # of the spectrum: the i-th direction is i ** -FALL as wide as the first
NOISE = 0.9
WORDS, A_TEXT = 20_000, 6


class Passages:
    """float32 vectors of length 1; the same block at every call."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        rng = np.random.default_rng(seed)
        spectrum = np.arange(1, DIMENSION + 1, dtype=np.float32) ** -FALL

        def centres(count: int) -> np.ndarray:
            basis = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
            drawn = rng.standard_normal((count, DIMENSION)).astype(np.float32)
            return _unit(drawn @ (basis * spectrum[:, None]))

        fields = centres(TOPIC_FIELDS)[rng.integers(0, TOPIC_FIELDS, TOPICS)]
        self._centres = _unit(fields + centres(TOPICS))
        self._shares = _shares(TOPICS, 20)
        own = rng.standard_normal((OWN_DIRECTIONS, DIMENSION)).astype(np.float32)
        own *= spectrum[:OWN_DIRECTIONS, None]
        self._own = own / np.linalg.norm(own)

    def block(self, number: int, rows: int = BLOCK_ROWS) -> np.ndarray:
        """Passages `number` · BLOCK_ROWS and after."""
        rng = np.random.Generator(np.random.SFC64([self._seed, number]))
        topics = _draw(rng, self._shares, rows)
        spread = 0.5 + 0.5 * rng.random((rows, 1), dtype=np.float32)
        own = rng.standard_normal((rows, OWN_DIRECTIONS), dtype=np.float32) @ self._own
        return _unit(self._centres[topics] + spread * own)

    def rows(self, first: int, count: int) -> np.ndarray:
        """Passages from `first` on, which is a multiple of BLOCK_ROWS."""
        blocks = range(first // BLOCK_ROWS, -(-(first + count) // BLOCK_ROWS))
        return np.concatenate([self.block(number) for number in blocks])[:count]

    def questions(self, count: int) -> np.ndarray:
        """Half of them near a passage of the first block, half of them of their own."""
        near = self.block(0)[: count // 2]
        rng = np.random.default_rng(self._seed + 1)
        noise = _unit(rng.standard_normal(near.shape).astype(np.float32))
        return np.concatenate([_unit(near + NOISE * noise), self.block(1 << 31, count - len(near))])


def documents(first: int, count: int) -> list[dict]:
    """Each with a text of six of 20,000 words, drawn as natural texts draw them, and two fields."""
    words = _words()
    drawn = _draw(np.random.default_rng([7, first]), _shares(WORDS, 5), count * A_TEXT).tolist()
    return [
        {
            "id": f"passage-{i:09d}",
            "text": " ".join([words[at] for at in drawn[n * A_TEXT : (n + 1) * A_TEXT]]),
            "metadata": {"shelf": f"shelf {i % 1000}", "year": 1990 + i % 35},
        }
        for n, i in enumerate(range(first, first + count))
    ]


class BestRows:
    """The best `k` rows of each question by int8 codes, of all that was looked at: every row is scored."""

    def __init__(self, questions: np.ndarray, k: int, stored: Path | None = None) -> None:
        self._questions = questions
        self.rows = np.full((len(questions), k), -1, np.int64)
        self.scores = np.full((len(questions), k), -np.inf, np.float32)
        if stored is not None:
            with np.load(stored) as file:
                self.rows, self.scores = file["rows"], file["scores"]

    def look_at(self, first: int, vectors: np.ndarray, codec: Codec) -> None:
        """Rows from `first` on. Codes are made of those whose own score is near enough to the best ones: a
        code is off by half a bucket in each dimension, and 0.01 is for values that are cut.
        """
        error = np.abs(self._questions) @ codec.scale.astype(np.float32) / 2 + 0.01
        for at in range(0, len(vectors), BLOCK_ROWS):
            block = vectors[at : at + BLOCK_ROWS]
            lowest = (self.scores[:, -1] - error)[:, None]
            rows = np.flatnonzero((self._questions @ block.T > lowest).any(axis=0))
            scores = self._questions @ codec.decode(codec.encode(block[rows]).codes).T
            scores = np.concatenate([self.scores, scores], axis=1)
            numbers = np.broadcast_to(rows + first + at, (len(scores), len(rows)))
            numbers = np.concatenate([self.rows, numbers], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, : self.rows.shape[1]]
            self.scores = np.take_along_axis(scores, order, axis=1)
            self.rows = np.take_along_axis(numbers, order, axis=1)

    def save(self, path: Path) -> None:
        np.savez(path, rows=self.rows, scores=self.scores)


def _words() -> list[str]:
    rng = np.random.default_rng(5)
    letters = rng.choice(list("etaoinshrdlucmfwyp"), (WORDS, 10))
    return ["".join(row[:size]) for row, size in zip(letters, rng.integers(4, 10, WORDS), strict=True)]


def _shares(count: int, start: int) -> np.ndarray:
    """Ascending to 1: the i-th of `count` things is drawn in proportion to 1 / (i + start)."""
    weights = 1 / (np.arange(count) + float(start))
    return np.cumsum(weights / weights.sum())


def _draw(rng: np.random.Generator, shares: np.ndarray, count: int) -> np.ndarray:
    return np.minimum(np.searchsorted(shares, rng.random(count)), len(shares) - 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
