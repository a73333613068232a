"""How many passages documents make, from how long they are on average.

A passage holds whole sentences up to `max_tokens`, so half a sentence stays empty at its end, and what it
shares with the next one is half a sentence less than `overlap`: of 256 and 32 tokens, 224 are new in each.
Lengths of documents are taken to vary as they mostly do, many short ones and few long ones: exponentially
around their mean. Then a document reaches its passage number i + 2 with the probability
exp(-(max_tokens + i * step) / mean), and the sum over i is closed.
"""

from __future__ import annotations

import math

from indexing.sizing.measured import measured

__all__ = ["passages_per_document", "tokens_of"]


_HALF_SENTENCE = 10  # tokens


def tokens_of(characters: float, characters_per_token: float | None = None) -> float:
    """Tokens of a text. Without another figure a token has as many characters as measured for English."""
    return characters / (characters_per_token or measured()["text"]["characters_per_token"])


def passages_per_document(tokens: float, max_tokens: int, overlap: int) -> float:
    """Passages of a document on average, for documents of `tokens` tokens on average; at least 1."""
    if tokens <= 0:
        return 1.0
    step = max(max_tokens - _HALF_SENTENCE, max_tokens / 2) - max(overlap - _HALF_SENTENCE, 0)
    return 1.0 + math.exp(-max_tokens / tokens) / -math.expm1(-step / tokens)
