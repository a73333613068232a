"""Cutting text into passages: whole sentences, up to a number of tokens, as spans into the text.

Nothing is copied or rewritten. A passage is `text[start:end]`, so that a highlight, a quote and the file
a person opens show the same characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from indexing.documents.sentences import sentence_spans, trim

__all__ = ["ChunkSettings", "Span", "TokenSpans", "chunk_documents", "chunk_spans"]

Span: TypeAlias = tuple[int, int]
TokenSpans: TypeAlias = npt.NDArray[np.integer]
_Spans: TypeAlias = npt.NDArray[np.int64]

# Tokenizers turn a "word" of a million letters into one unknown token, so tokens alone do not bound a
# passage. No language averages as many characters a token.
_CHARACTERS_PER_TOKEN = 32
# Texts are tokenised in portions: a tokenizer needs some hundred bytes per token while it works.
_PORTION_CHARACTERS = 1 << 18
_PORTION_TEXTS = 256
_SEGMENT_CHARACTERS = 1 << 16
# A longer text is cut block by block, each with all of its tokens and sentences at hand. A block holds
# several passages, however large they are.
_BLOCK_CHARACTERS = 1 << 20
_BLOCK_PASSAGES = 4

_VISIBLE = re.compile(r"\S")
_ESTIMATE = re.compile(r"\w{1,4}|[^\w\s]")


@dataclass(frozen=True)
class ChunkSettings:
    """How text is cut.

    `max_tokens` bounds a passage. 256 is what small retrieval models are trained on, and about as much as
    a person reads as one answer. Up to `overlap` tokens of whole sentences at the end of a passage begin
    the next one as well, so that a thought that crosses the border is found in one piece.
    `opening`: whether the vector of a document's first passage leans half on its title and first sentence,
    see `indexing.openings`; None leaves it to the model: yes for a static one.
    Raises `ValueError` unless 1 <= max_tokens and 0 <= overlap <= max_tokens / 2.
    """

    max_tokens: int = 256
    overlap: int = 32
    opening: bool | None = None

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}, at least 1 is needed")
        if not 0 <= self.overlap <= self.max_tokens // 2:
            raise ValueError(
                f"overlap is {self.overlap}, allowed is 0 to half of max_tokens ({self.max_tokens // 2})"
            )

    def to_json(self, *, opening: bool) -> dict[str, int]:
        """As a generation keeps them. `opening` is what None means here."""
        kept = {"max_tokens": self.max_tokens, "overlap": self.overlap}
        wanted = opening if self.opening is None else self.opening
        return {**kept, "opening": True} if wanted else kept


def chunk_documents(
    texts: Sequence[str],
    token_spans: Callable[[Sequence[str]], Sequence[TokenSpans]],
    settings: ChunkSettings | None = None,
    token_counts: Callable[[Sequence[str]], Sequence[int] | npt.NDArray[np.integer]] | None = None,
) -> list[list[Span]]:
    """The passages of each text. `token_spans` is an encoder's: texts to character spans [n_tokens, 2].

    A text with no more bytes than `max_tokens` is one passage and is not tokenised: no token is less than
    a byte. `token_counts`, if the encoder has it, is a cheaper way to see that a text is one passage. Longer
    ones are tokenised in portions of bounded size, cut at sentence ends, and cut block by block, so that a
    text of many megabytes takes linear time and the memory of one block.
    """
    settings = settings or ChunkSettings()
    chunks: list[list[Span]] = [[] for _ in texts]
    long: list[int] = []
    for position, text in enumerate(texts):
        if _surely_fits(text, settings):
            chunks[position] = _whole(text)
        else:
            long.append(position)
    if token_counts is not None:
        long = _not_one_passage(texts, long, token_counts, settings, chunks)
    block = max(_BLOCK_CHARACTERS, _BLOCK_PASSAGES * _character_limit(settings))
    for position in long:
        if len(texts[position]) > block:
            chunks[position] = list(_chunk_by_blocks(texts[position], token_spans, settings, block))
    long = [position for position in long if len(texts[position]) <= block]
    spans = _tokenise([texts[position] for position in long], token_spans)
    for position, tokens in zip(long, spans, strict=True):
        chunks[position] = chunk_spans(texts[position], tokens, settings)
    return chunks


def _chunk_by_blocks(
    text: str,
    token_spans: Callable[[Sequence[str]], Sequence[TokenSpans]],
    settings: ChunkSettings,
    block: int,
) -> Iterator[Span]:
    """The passages that the whole text would have, from `block` characters at a time.

    Where one passage begins decides all that follow, so the last one of a block, which might have gone on,
    begins the next block.
    """
    begin = 0
    while begin < len(text):
        end = min(begin + block, len(text))
        sentences = sentence_spans(text, begin, end)
        tokens = _Tokens(_tokenise_long(text, begin, end, sentences, token_spans))
        pieces = _cut_long(text, sentences, tokens, settings)
        rest = end
        if end < len(text) and len(pieces) and pieces[-1, 0] + _character_limit(settings) >= end:
            rest = int(pieces[-1, 0])  # the piece that the end of the block may have cut
            pieces = pieces[:-1]
        passages = list(_pack(pieces, tokens, settings))
        if end == len(text):
            yield from passages
            return
        if passages and passages[-1][0] > begin:
            rest = passages.pop()[0]
        yield from passages  # a single one from the start is whole: what follows is further than its limit
        begin = rest


def _not_one_passage(
    texts: Sequence[str],
    positions: list[int],
    token_counts: Callable[[Sequence[str]], Sequence[int] | npt.NDArray[np.integer]],
    settings: ChunkSettings,
    chunks: list[list[Span]],
) -> list[int]:
    """Enters those of `positions` that are one passage into `chunks`; returns the others, in order."""
    medium = [p for p in positions if len(texts[p]) <= _character_limit(settings)]
    counts = token_counts([texts[p] for p in medium])
    fitting = {p for p, count in zip(medium, counts, strict=True) if count <= settings.max_tokens}
    for position in fitting:
        chunks[position] = _whole(texts[position])
    return [p for p in positions if p not in fitting]


def chunk_spans(
    text: str, token_spans: TokenSpans | None, settings: ChunkSettings | None = None
) -> list[Span]:
    """The passages of one text as (start, end) in characters; [] for a text of blanks only.

    `token_spans` [n_tokens, 2] are the character spans of its tokens, in order; None estimates them (four
    letters or one other character a token). Passages are in order, no blanks at their ends, and every
    other character lies in at least one. A sentence over `max_tokens` is cut at a token, where there is
    one at the start of a word. Only a single character made of more tokens than `max_tokens` exceeds it.
    """
    settings = settings or ChunkSettings()
    if _surely_fits(text, settings):
        return _whole(text)
    tokens = _Tokens(_estimate(text) if token_spans is None else token_spans)
    if len(tokens.starts) <= settings.max_tokens and len(text) <= _character_limit(settings):
        return _whole(text)
    pieces = _cut_long(text, sentence_spans(text), tokens, settings)
    return list(_pack(pieces, tokens, settings))


class _Tokens:
    """Starts and ends of the tokens that cover characters, both ascending."""

    def __init__(self, spans: TokenSpans) -> None:
        # In the type of what is looked for: searchsorted converts the whole array at each call otherwise.
        spans = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
        spans = spans[spans[:, 1] > spans[:, 0]]  # special tokens cover nothing
        self.starts = np.maximum.accumulate(spans[:, 0]) if len(spans) else spans[:, 0]
        self.ends = np.maximum.accumulate(spans[:, 1]) if len(spans) else spans[:, 1]

    def touching(self, spans: _Spans) -> tuple[_Spans, _Spans]:
        """For each span, the range (first, past the last) of the tokens that share a character with it."""
        first = np.searchsorted(self.ends, spans[:, 0], side="right")
        past = np.searchsorted(self.starts, spans[:, 1], side="left")
        return first, np.maximum(first, past)


def _pack(pieces: _Spans, tokens: _Tokens, settings: ChunkSettings) -> Iterator[Span]:
    """Fill passages with as many pieces as fit; each next one goes back by the overlap, if that fits."""
    if not len(pieces):
        return
    first, past = tokens.touching(pieces)
    starts, ends = np.ascontiguousarray(pieces[:, 0]), np.ascontiguousarray(pieces[:, 1])
    max_tokens, max_characters = settings.max_tokens, _character_limit(settings)
    begin = 0
    while True:
        by_tokens = np.searchsorted(past, first[begin] + max_tokens, side="right")
        by_characters = np.searchsorted(ends, starts[begin] + max_characters, side="right")
        stop = max(begin + 1, int(min(by_tokens, by_characters)))  # past the last piece of this passage
        yield int(starts[begin]), int(ends[stop - 1])
        if stop == len(pieces):
            return
        # The overlap: pieces within `overlap` tokens of the end that leave room for the next piece.
        near = max(int(past[stop - 1]) - settings.overlap, int(past[stop]) - max_tokens)
        back = int(np.searchsorted(first, near, side="left"))
        back = max(back, int(np.searchsorted(starts, ends[stop] - max_characters, side="left")))
        begin = min(max(back, begin + 1), stop) if settings.overlap else stop


def _cut_long(text: str, sentences: _Spans, tokens: _Tokens, settings: ChunkSettings) -> _Spans:
    """The sentences, those over the limits replaced by pieces within them."""
    first, past = tokens.touching(sentences)
    lengths = sentences[:, 1] - sentences[:, 0]
    too_long = (past - first > settings.max_tokens) | (lengths > _character_limit(settings))
    if not too_long.any():
        return sentences
    parts: list[_Spans] = []
    done = 0
    for position in np.flatnonzero(too_long).tolist():
        parts.append(sentences[done:position])
        start, end = sentences[position].tolist()
        parts.append(
            np.array(list(_pieces(text, start, end, tokens, settings)), dtype=np.int64).reshape(-1, 2)
        )
        done = position + 1
    parts.append(sentences[done:])
    return np.concatenate(parts)


def _pieces(text: str, start: int, end: int, tokens: _Tokens, settings: ChunkSettings) -> Iterator[Span]:
    """Cut one long sentence where tokens begin, rather between words than within one."""
    limit = _character_limit(settings)
    while start < end:
        cut = end
        index = int(np.searchsorted(tokens.ends, start, side="right"))  # the first token of this piece
        over = index + settings.max_tokens  # the first token that does not fit
        if over < len(tokens.starts) and tokens.starts[over] < end:
            cut = _best_cut(text, tokens, index, over)
        cut = min(cut, start + limit)
        cut = max(cut, start + 1)
        span = trim(text, start, cut)
        if span is not None:
            yield span
        visible = _VISIBLE.search(text, cut, end)
        start = visible.start() if visible else end


def _best_cut(text: str, tokens: _Tokens, index: int, over: int) -> int:
    """Where to cut before the token `over`: at a line among the last half of the tokens before it, else
    at a word among the last quarter, else right there."""
    room = over - index
    word = -1
    for candidate in range(over, over - room // 2, -1):
        start = int(tokens.starts[candidate])
        gap = text[int(tokens.ends[candidate - 1]) : start + 1]
        if "\n" in gap:
            return start
        if word < 0 and candidate > over - max(room // 4, 1) and any(map(str.isspace, gap)):
            word = start
    return word if word >= 0 else int(tokens.starts[over])


def _tokenise(
    texts: Sequence[str], token_spans: Callable[[Sequence[str]], Sequence[TokenSpans]]
) -> Iterator[TokenSpans]:
    """Token spans of each text, asking the tokenizer for a bounded number of characters at a time."""
    portion: list[str] = []
    characters = 0
    for text in texts:
        if portion and (characters + len(text) > _PORTION_CHARACTERS or len(portion) >= _PORTION_TEXTS):
            yield from token_spans(portion)
            portion, characters = [], 0
        if len(text) > _PORTION_CHARACTERS:
            yield _tokenise_long(text, 0, len(text), sentence_spans(text), token_spans)
        else:
            portion.append(text)
            characters += len(text)
    if portion:
        yield from token_spans(portion)


def _tokenise_long(
    text: str,
    begin: int,
    end: int,
    sentences: _Spans,
    token_spans: Callable[[Sequence[str]], Sequence[TokenSpans]],
) -> TokenSpans:
    """The tokens of a text too long to tokenise at once, segment by segment."""
    found = [np.empty((0, 2), np.int64)]
    for start, stop in _segments(text, begin, end, sentences):
        tokens = np.asarray(token_spans([text[start:stop]])[0], dtype=np.int64).reshape(-1, 2)
        found.append(tokens[tokens[:, 1] > tokens[:, 0]] + start)
    return np.concatenate(found)


def _segments(text: str, start: int, stop: int, sentences: _Spans) -> Iterator[Span]:
    """Spans of at most 64 Ki characters that end with a sentence, else with a word, else anywhere."""
    ends = np.ascontiguousarray(sentences[:, 1])
    while start < stop:
        limit = start + _SEGMENT_CHARACTERS
        if limit >= stop:
            yield start, stop
            return
        position = int(np.searchsorted(ends, limit, side="right"))
        end = int(ends[position - 1]) if position else 0
        if end <= start:
            blank = max(text.rfind(" ", start, limit), text.rfind("\n", start, limit))
            end = blank if blank > start else limit
        yield start, end
        start = end


def _estimate(text: str) -> TokenSpans:
    flat = np.fromiter(
        (bound for match in _ESTIMATE.finditer(text) for bound in match.span()), dtype=np.int64
    )
    return flat.reshape(-1, 2)


def _surely_fits(text: str, settings: ChunkSettings) -> bool:
    if len(text) > settings.max_tokens:
        return False
    # A tokenizer that falls back to bytes makes up to four tokens of one character.
    return text.isascii() or len(text.encode("utf-8", "surrogatepass")) <= settings.max_tokens


def _whole(text: str) -> list[Span]:
    span = trim(text, 0, len(text))
    return [] if span is None else [span]


def _character_limit(settings: ChunkSettings) -> int:
    return _CHARACTERS_PER_TOKEN * settings.max_tokens
