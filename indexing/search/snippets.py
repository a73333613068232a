"""The piece of a document that answers, with the words that make it an answer marked.

Only for the results that are shown. A word is marked when its stem is one of the query's, or when the bundled
static model finds it close in meaning to a word of the query (`teleprinter` for "telex machine").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from indexing.search.results import Snippet

__all__ = ["Highlighter", "QueryWords", "best_spots", "make_snippet"]

SNIPPET_CHARACTERS = 280  # about four lines on a laptop, seven on a phone
SEARCHED_CHARACTERS = 20_000  # of a text without a known best chunk
CLOSE_IN_MEANING = 0.62  # cosine of two words; below it, marks look arbitrary
SHORTEST_SEMANTIC_WORD = 4
REMEMBERED_WORDS = 20_000  # 20 MiB of vectors at 256 dimensions

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n(?=\s*[-*•])")


@dataclass
class QueryWords:
    """What of a query can be recognised in a text."""

    stems: frozenset[str]
    stem: Callable[[str], str]
    close: Callable[[Sequence[str]], set[str]]
    _stem_of: dict[str, str] = field(default_factory=dict)

    def weight(self, word: str) -> float:
        """How much a word speaks for a passage: nothing unless the query has its stem, longer words more."""
        if word not in self._stem_of:
            self._stem_of[word] = self.stem(word)
        return min(len(word), 12) ** 0.5 if self._stem_of[word] in self.stems else 0.0


class Highlighter:
    """Prepares queries for marking. `embed` maps words to float32 [n, d]; None marks by stems only."""

    def __init__(
        self,
        stems: Callable[[str], list[str]],
        embed: Callable[[Sequence[str]], np.ndarray] | None,
        stopwords: frozenset[str] = frozenset(),
    ) -> None:
        self._stems = stems
        self._embed = embed
        self._stopwords = stopwords
        self._vector_of: dict[str, np.ndarray] = {}
        self._stem = lru_cache(maxsize=50_000)(self._one_stem)

    def _one_stem(self, word: str) -> str:
        stems = self._stems(word)
        return stems[0] if stems else ""

    def query(self, query: str) -> QueryWords:
        words = {word.lower() for word in _WORD.findall(query)}
        content = words - self._stopwords or words
        stems = frozenset(stem for word in content if (stem := self._stem(word)))
        return QueryWords(stems, self._stem, lambda texts: self._close(sorted(content), texts))

    def _close(self, query_words: Sequence[str], words: Sequence[str]) -> set[str]:
        """Those of `words` that mean about what a query word means."""
        query_words = [w for w in query_words if len(w) >= SHORTEST_SEMANTIC_WORD and not w.isdigit()]
        words = [
            w
            for w in words
            if len(w) >= SHORTEST_SEMANTIC_WORD and not w.isdigit() and w not in self._stopwords
        ]
        if self._embed is None or not query_words or not words:
            return set()
        near = (self._vectors(words) @ self._vectors(query_words).T).max(axis=1)
        return {word for word, cosine in zip(words, near, strict=True) if cosine >= CLOSE_IN_MEANING}

    def _vectors(self, words: Sequence[str]) -> np.ndarray:
        """Unit vectors of `words`; those seen lately are remembered."""
        known = self._vector_of
        missing = [word for word in words if word not in known]
        if missing and self._embed is not None:
            vectors = self._embed(missing)
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
            if len(known) + len(missing) > REMEMBERED_WORDS:
                known = {word: known[word] for word in words if word in known}
            known.update(zip(missing, vectors, strict=True))
            self._vector_of = known
        return np.stack([known[word] for word in words])


def make_snippet(text: str, span: tuple[int, int] | None, words: QueryWords) -> Snippet:
    """The best window of `text`, looked for in `span` if there is one.

    Raises nothing: an empty text gives an empty snippet.
    """
    start, end = span or (0, min(len(text), SEARCHED_CHARACTERS))
    start, end = _window(text, start, end, words)
    piece = text[start:end]
    return Snippet(piece, _highlights(piece, words), start)


def best_spots(text: str, span: tuple[int, int] | None, words: QueryWords) -> list[int]:
    """Characters where an answer may be: the best chunk, and the sentence that matches best outside of it."""
    spots = [] if span is None else [span[0]]
    start, end = _window(text, 0, min(len(text), SEARCHED_CHARACTERS), words)
    return [*spots, start] if end > start else spots


def _window(text: str, start: int, end: int, words: QueryWords) -> tuple[int, int]:
    """Whole sentences around the one that matches best, as many as fit."""
    sentences = _sentences(text, start, end)
    if not sentences:
        return start, start
    values = [
        sum(words.weight(w) for w in {m.lower() for m in _WORD.findall(text[a:b])}) for a, b in sentences
    ]
    # Later sentences must be clearly better: the first one usually says what a passage is about.
    best = max(range(len(sentences)), key=lambda i: (values[i] * (1.15 if i == 0 else 1.0), -i))
    first = last = best
    while True:
        right = (
            last + 1 < len(sentences) and sentences[last + 1][1] - sentences[first][0] <= SNIPPET_CHARACTERS
        )
        if right:
            last += 1
        elif first > 0 and sentences[last][1] - sentences[first - 1][0] <= SNIPPET_CHARACTERS:
            first -= 1
        else:
            break
    return _cut_long(text, sentences[first][0], sentences[last][1], words)


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    found, at = [], start
    for match in _SENTENCE_END.finditer(text, start, end):
        found.append((at, match.start()))
        at = match.end()
    found.append((at, end))
    return [trimmed for a, b in found if (trimmed := _trim(text, a, b))[0] < trimmed[1]]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _cut_long(text: str, start: int, end: int, words: QueryWords) -> tuple[int, int]:
    """A sentence that is too long is cut around its densest matches, between words."""
    if end - start <= SNIPPET_CHARACTERS:
        return start, end
    spots = [m.start() for m in _WORD.finditer(text, start, end) if words.weight(m.group().lower())]
    if spots:
        # The spot after which most others lie within half a snippet; of equals the first.
        near = np.searchsorted(spots, np.add(spots, SNIPPET_CHARACTERS // 2)) - np.arange(len(spots))
        start = max(start, min(spots[int(near.argmax())] - 40, end - SNIPPET_CHARACTERS))
    stop = min(end, start + SNIPPET_CHARACTERS)
    while start > 0 and text[start - 1].isalnum() and text[start].isalnum() and start < stop - 1:
        start += 1
    if stop < end:
        cut = max(text.rfind(" ", start, stop), text.rfind("\n", start, stop))
        stop = cut if cut > start + SNIPPET_CHARACTERS // 2 else stop
    return _trim(text, start, stop)


def _highlights(piece: str, words: QueryWords) -> list[tuple[int, int]]:
    found = [(m.start(), m.end(), m.group().lower()) for m in _WORD.finditer(piece)]
    by_stem = {word for _, _, word in found if words.weight(word)}
    others = sorted({word for _, _, word in found} - by_stem)
    marked = by_stem | words.close(others)
    return [(start, end) for start, end, word in found if word in marked]
