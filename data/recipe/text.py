"""The unit of training text, and the cleaning every source shares."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACES = re.compile(r"\s+")
MAX_CHARACTERS = 480  # about 96 tokens: what the teacher reads of a text


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts about the same thing: a short one as somebody would ask for it, and a longer one."""

    source: str
    query: str
    text: str


def clean(text: str) -> str:
    """One line, single spaces, cut at a word near :data:`MAX_CHARACTERS`."""
    text = _SPACES.sub(" ", text).strip()
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS].rsplit(" ", 1)[0]


def is_english(text: str) -> bool:
    """Cheap filter: Latin letters dominate. Keeps code-heavy and non-Latin text out of the training set."""
    letters = sum(character.isascii() and (character.isalpha() or character == " ") for character in text)
    return letters >= 0.8 * len(text)


def make_pair(source: str, query: str, text: str, *, min_words: int = 4) -> Pair | None:
    """A cleaned pair, or ``None`` when either side carries too little."""
    query, text = clean(query), clean(text)
    if len(query) < 2 or len(text.split()) < min_words or query.lower() == text.lower():
        return None
    if not is_english(text) or not any(character.isalpha() for character in query):
        return None
    return Pair(source, query[:240], text)
