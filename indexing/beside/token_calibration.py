"""Centroids and levels of the codes of tokens: from texts that are the same for every collection."""

from __future__ import annotations

import numpy as np

from indexing.beside.token_codes import MOST_CENTROIDS, TokenCodec
from indexing.errors import BadInput
from indexing.fixed_texts import fixed_texts
from stlib.runtime import TokenEncoderProtocol

__all__ = ["calibrate_tokens", "fit_tokens"]

# Of the ten best of fifty by floats, 2 bits keep 9.3 on cranfield, 4 keep 9.8 and 8 keep 10.0 (the bare
# transformer of answerai-colbert-small); a passage of 170 tokens of 96 values takes 4.6, 8.7 or 16.8 kB.
DEFAULT_BITS = 4
# Made of these texts, 16 and 64 keep as much of the order, and 214 less. A sample of the corpus in their
# place changes nothing that could be told from chance.
CENTROIDS = 64
# Tokens that a centroid stands for at least; a model may leave few of a text.
_TOKENS_EACH = 8
_ROUNDS = 10
# Values that decide the levels: a row of sixteen is known well from as many.
_VALUES = 200_000
_WIDEST = 6.0  # spreads that eight bits reach to both sides


def calibrate_tokens(encoder: TokenEncoderProtocol, bits: int = DEFAULT_BITS) -> TokenCodec:
    """Codes for the vectors of `encoder`, which encodes the fixed texts once.

    Raises:
        BadInput: it gives no vectors of tokens for them.
    """
    try:
        vectors = [np.asarray(one, np.float32) for one in encoder.encode_document(fixed_texts())]
        sample = np.concatenate([one for one in vectors if len(one)])
    except ValueError as error:
        raise BadInput(f"model {encoder.name!r} gives no vectors of tokens: {error}") from error
    if sample.ndim != 2 or not np.isfinite(sample).all():
        raise BadInput(f"model {encoder.name!r} gives no vectors of tokens, or some that are no numbers")
    if sample.shape[1] != encoder.dimension:
        raise BadInput(
            f"model {encoder.name!r} gives vectors of tokens with {sample.shape[1]} values, and says that"
            f" they have {encoder.dimension}"
        )
    return fit_tokens(sample, bits)


def fit_tokens(sample: np.ndarray, bits: int, centroids: int = CENTROIDS) -> TokenCodec:
    """Codes for vectors such as `sample`, float32 [n, d], n above 0. The same sample gives the same codes.

    Raises:
        BadInput: its values are too large for the numbers that settings hold.
    """
    half = sample[::2] if len(sample) > 1 else sample
    wanted = max(1, min(centroids, MOST_CENTROIDS, len(half) // _TOKENS_EACH))
    with np.errstate(over="ignore"):  # refused below
        middles = _as_stored(_cluster(half, wanted))
    if not np.isfinite(middles).all():
        raise BadInput(f"vectors of tokens with values up to {np.abs(sample).max():.3g} cannot be stored")
    # What is left of other vectors than those that the centroids were made of, as of all that come later.
    others = sample[1::2] if len(sample) > 1 else sample
    near = np.argmax(others @ middles.T - np.square(middles).sum(axis=1) / 2, axis=1)
    left = others - middles[near]
    spread = left.std(axis=0)
    # A dimension that never differs in the sample may in other texts.
    spread = _as_stored(np.maximum(spread, max(float(spread.mean()) / 100, 1e-4)))
    values = (left / spread).ravel()
    return TokenCodec(bits, middles, spread, _levels(values[:: max(1, len(values) // _VALUES)], bits))


def _cluster(sample: np.ndarray, wanted: int) -> np.ndarray:
    """Middles of groups of near vectors, float32 [wanted, d], by k-means from rows evenly spaced."""
    middles = sample[np.linspace(0, len(sample) - 1, wanted).astype(int)].copy()
    for _ in range(_ROUNDS):
        near = np.argmax(sample @ middles.T - np.square(middles).sum(axis=1) / 2, axis=1)
        order = np.argsort(near, kind="stable")
        counts = np.bincount(near, minlength=wanted)
        there = np.flatnonzero(counts)
        starts = (np.cumsum(counts) - counts)[there]
        middles[there] = np.add.reduceat(sample[order], starts, axis=0) / counts[there, None]
    return middles


def _levels(values: np.ndarray, bits: int) -> np.ndarray:
    """The 2 ** bits levels that stand for `values` with the least squared error; evenly spaced ones where
    they are so many that it does not matter.
    """
    if bits == 8:
        return np.linspace(-_WIDEST, _WIDEST, 1 << bits, dtype=np.float32)
    values = np.sort(values.astype(np.float64))
    levels = np.quantile(values, (np.arange(1 << bits) + 0.5) / (1 << bits))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    for _ in range(4 * _ROUNDS):  # of Lloyd's rule: borders half-way, levels in the middle of what they get
        borders = (levels[1:] + levels[:-1]) / 2
        ends = np.concatenate([[0], np.searchsorted(values, borders), [len(values)]])
        counts = np.diff(ends)
        levels = np.where(counts > 0, np.diff(sums[ends]) / np.maximum(counts, 1), levels)
    return levels.astype(np.float32)


def _as_stored(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype("<f2").astype(np.float32)
