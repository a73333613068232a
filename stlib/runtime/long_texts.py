"""Texts without the part of them that a tokenizer would read and then cut off.

Tokenizers read all of a text before they cut it, which takes minutes and gigabytes for the text of a large
file. Here a tokenizer reads a piece at the end that is kept; if enough of its tokens cannot depend on what
lies beyond, the piece is cut to the very same tokens as the text. Otherwise a longer piece is tried, and in
the end the whole text.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import PreTokenizer

__all__ = ["is_long", "shorten"]

T = TypeVar("T", bound="str | Sequence[str]")

# Texts of fewer characters per token to keep are left alone: reading them takes no time.
_LONG = 40
_FIRST_TRY = 10  # characters per token; English has four or five
_GROWTH = 4
# What is said below of words holds for neighbours at most, such as an accent that joins the letter before.
_UNSURE = 2

_WORDS = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Metaspace", "ByteLevel")
_WITHIN_WORDS = ("Digits", "Punctuation")
_BREAK = re.compile(r"(?<=\S)[ \t\n\r]")


def is_long(text: str | Sequence[str], max_length: float) -> bool:
    """Whether it pays to shorten a text, or one of a pair, of which ``max_length`` tokens are kept."""
    parts = (text,) if isinstance(text, str) else text
    return any(len(part) > _LONG * max_length for part in parts)


def shorten(
    tokenizer: Callable[[], Tokenizer],
    texts: Sequence[T],
    max_length: int,
    side: str = "right",
    special: bool = True,
) -> list[T]:
    """The texts, the long ones without most of what the tokenizer cuts off.

    Tokens are the same as those of the whole texts once they are cut to ``max_length``, the longer one of a
    pair first. That takes a tokenizer that splits texts into words; others get the whole texts.

    Args:
        tokenizer: gives the tokenizer, which must not truncate; called only if a text is long.
        texts: texts and pairs of texts.
        max_length: tokens kept of a text, or of both of a pair, special ones included.
        side: the end at which they are cut, ``"right"`` or ``"left"``.
        special: whether special tokens are put around them.
    """
    if not any(is_long(text, max_length) for text in texts):
        return list(texts)
    cutter = _Cutter(tokenizer(), max_length, side, special)
    return [cutter.shorten_one(text) if is_long(text, max_length) else text for text in texts]


class _Cutter:
    def __init__(self, tokenizer: Tokenizer, max_length: int, side: str, special: bool) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._left = side == "left"
        self._possible = _splits_words(tokenizer, anywhere=not self._left)
        added = tokenizer.num_special_tokens_to_add(True) if special else 0
        self._even = (max_length - added) % 2 == 0
        self._counts: dict[str, int] = {}

    def shorten_one(self, text: Any) -> Any:
        if not self._possible:
            return text
        if isinstance(text, str):
            return self._piece(text, self._max_length)
        if len(text) != 2:
            return text
        if self._even:
            # Of two texts with too many tokens, both are cut to half of the room.
            return tuple(
                self._piece(t, self._max_length) if is_long(t, self._max_length) else t for t in text
            )
        # One token more goes to the text of more tokens, and that must stay the same one.
        shorter, longer = sorted(range(2), key=lambda place: len(text[place]))
        parts = list(text)
        parts[longer] = self._piece(text[longer], max(self._max_length, self._count(text[shorter]) + 1))
        return tuple(parts)

    def _piece(self, text: str, needed: int) -> str:
        """The end of the text that is kept, with ``needed`` tokens that are those of the whole text."""
        size = _FIRST_TRY * needed
        while size < len(text):
            piece = self._last(text, size) if self._left else text[:size]
            if piece and self._count_settled(piece) >= needed:
                return piece
            size *= _GROWTH
        return text

    def _last(self, text: str, size: int) -> str:
        """About ``size`` characters, from a place on where every rule begins a new word."""
        found = _BREAK.search(text, len(text) - size)
        return text[found.start() :] if found else ""

    def _count_settled(self, piece: str) -> int:
        """Tokens of a piece that do not depend on what lies beyond where it was cut."""
        words = self._tokenizer.encode(piece, add_special_tokens=False).word_ids
        if not words or None in words:
            return 0
        if self._left:
            return len(words) - bisect_right(words, words[0] + _UNSURE - 1)
        return bisect_left(words, words[-1] - _UNSURE + 1)

    def _count(self, text: str) -> int:
        if text not in self._counts:
            self._counts[text] = len(self._tokenizer.encode(text, add_special_tokens=False))
        return self._counts[text]


def _splits_words(tokenizer: Tokenizer, anywhere: bool) -> bool:
    """Whether words are split before they become tokens, so that those of one do not depend on the others.

    Args:
        anywhere: rules that read on from the word before are taken, too, e.g. digits in groups of three.
    """
    if type(tokenizer.pre_tokenizer) in (type(None), PreTokenizer):  # none, or one that is written in Python
        return False
    settings = json.loads(tokenizer.pre_tokenizer.__getstate__())
    parts = settings["pretokenizers"] if settings["type"] == "Sequence" else [settings]
    kinds = [part["type"] for part in parts if part.get("split", True) and part.get("use_regex", True)]
    if anywhere:
        return bool(kinds)
    return any(kind in _WORDS for kind in kinds) and all(kind in _WORDS + _WITHIN_WORDS for kind in kinds)
