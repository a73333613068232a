"""The masked-language head of a sparse model, pooled over a text's tokens: a weight for each word.

A word's weight is the largest of its logits over the text, log1p(relu(·)) of it. As this grows with the
logit, the maximum is taken first, block of words by block of words: the whole ``[tokens, words]`` matrix is
never made. Words that no text can activate are left out altogether.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stlib.runtime.modules.bert import ACTIVATIONS, Linear, Norm, Shape
from stlib.runtime.modules.tensors import Tensors

__all__ = ["PoolSettings", "VocabularyHead"]

Values = NDArray[np.float32]

# Words whose logits are made at a time: with the 512 tokens of a batch 1 MiB, which stays in a core's cache.
_BLOCK = 512


@dataclass(frozen=True)
class PoolSettings:
    """How logits of tokens become the weight of a word.

    Attributes:
        strategy: ``"max"`` or ``"sum"`` over the tokens.
        twice: whether log1p is applied twice.
        most: words kept of a text at most, those of the largest weights; None keeps all above 0.
    """

    strategy: str = "max"
    twice: bool = False
    most: int | None = None


class VocabularyHead:
    """Hidden states to weights of words.

    Args:
        tensors: named as in ``BertForMaskedLM``.
        shape: of the model.
        words: its word vectors ``[vocabulary, width]``, which the head uses too unless it has its own.
        pool: see :class:`PoolSettings`.

    Raises:
        ModelConfigError: a tensor is missing or has another shape.
    """

    def __init__(self, tensors: Tensors, shape: Shape, words: Values, pool: PoolSettings) -> None:
        place = "cls.predictions"
        self._transform = Linear.take(tensors, f"{place}.transform.dense", shape.width, shape.width)
        self._activate = ACTIVATIONS[shape.activation]
        self._norm = Norm.take(tensors, f"{place}.transform.LayerNorm", shape)
        names = [f"{place}.bias", f"{place}.decoder.bias"]
        if not shape.tied:
            words = tensors.take(f"{place}.decoder.weight", shape=words.shape)
            names.reverse()  # both are stored, and this one is added
        bias = tensors.take(*names, shape=(shape.vocabulary,))
        self.pool = pool
        self.live = _can_fire(words, bias, self._norm).astype(np.int32)
        """Words that some text may activate, ascending."""
        self._across = np.ascontiguousarray(words[self.live].T)
        self._bias = bias[self.live]

    def __call__(self, hidden: Values, mask: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int32], Values]]:
        """Words (ascending) and weights of each text.

        Args:
            hidden: of all tokens, ``[n * tokens, width]``.
            mask: ``[n, tokens]``; the tokens of a text stand side by side.
        """
        states = self._norm(self._activate(self._transform(hidden)))
        lengths = mask.sum(axis=1)
        begins = np.arange(len(mask)) * mask.shape[1] + mask.argmax(axis=1)
        spans = [slice(at, at + size) for at, size in zip(begins.tolist(), lengths.tolist(), strict=True)]
        pooled = (
            self._pool_max(states, spans) if self.pool.strategy == "max" else self._pool_sum(states, spans)
        )
        for row, span in zip(pooled, spans, strict=True):
            at = np.flatnonzero(row > 0) if span.start < span.stop else np.empty(0, np.int64)
            weights = row[at] if self.pool.strategy == "sum" else self._squash(row[at])
            if self.pool.most is not None and len(at) > self.pool.most:
                kept = np.sort(np.argsort(-weights, kind="stable")[: self.pool.most])
                at, weights = at[kept], weights[kept]
            yield self.live[at], weights

    def _pool_max(self, states: Values, spans: list[slice]) -> Values:
        """Largest logit of each live word in each text, ``[texts, words]``."""
        pooled = np.full((len(spans), len(self.live)), -np.inf, np.float32)
        for words, logits in self._logits(states):
            for text, span in enumerate(spans):
                if span.start < span.stop:
                    logits[span].max(axis=0, out=pooled[text, words])
        pooled += self._bias
        return pooled

    def _pool_sum(self, states: Values, spans: list[slice]) -> Values:
        pooled = np.zeros((len(spans), len(self.live)), np.float32)
        for words, logits in self._logits(states):
            logits += self._bias[words]
            self._squash(np.maximum(logits, 0, out=logits))
            for text, span in enumerate(spans):
                logits[span].sum(axis=0, out=pooled[text, words])
        return pooled

    def _logits(self, states: Values) -> Iterator[tuple[slice, Values]]:
        """Blocks of words, and their logits without the bias, ``[tokens, words]``, in one place."""
        room = np.empty((len(states), _BLOCK), np.float32)
        for start in range(0, len(self.live), _BLOCK):
            words = slice(start, min(start + _BLOCK, len(self.live)))
            out = room[:, : words.stop - start]
            yield words, np.matmul(states, self._across[:, words], out=out)

    def _squash(self, logits: Values) -> Values:
        """In place."""
        np.log1p(logits, out=logits)
        return np.log1p(logits, out=logits) if self.pool.twice else logits


def _can_fire(words: Values, bias: Values, norm: Norm) -> NDArray[np.intp]:
    """Rows whose logit is above 0 for some state: what comes out of a normalisation is ``factor * z + shift``
    with z of a length of at most the root of its width, which bounds the logit.
    """
    reach = np.linalg.norm(words * norm.factor, axis=1) * np.float32(math.sqrt(words.shape[1]))
    return np.flatnonzero(words @ norm.shift + bias + reach > 0)
