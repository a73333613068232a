"""Token ids of texts, exactly the tokenizer's own but many times faster for BERT's WordPiece.

BERT's rules split a text at white space and at punctuation before WordPiece sees it, so the tokens of a text
are the tokens of its words laid end to end. Words repeat: each distinct one goes through the tokenizer once,
and is looked up afterwards. Texts and tokenizers to which this does not apply take the tokenizer's own path.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

__all__ = ["TokenReader"]

# About 60 MB at the very most; an English corpus of any size has fewer frequent words.
MAX_WORDS = 300_000
LONGEST_KEPT = 64  # a longer "word" is a path, a hash or a text without spaces, and will not come again

# In printable ASCII, BERT's words are runs of letters and digits, and single punctuation marks.
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9\s]")
_NOT_PRINTABLE_ASCII = re.compile(r"[^ -~\t\n\r]")
# Anything else is cut only where every rule agrees that words end; the tokenizer does the rest.
_SEGMENT = re.compile(r"[^ \t\n\r]+")


class _Tokens(NamedTuple):
    """Tokens laid end to end, and how many each piece has."""

    ids: NDArray[np.int64]
    spans: NDArray[np.int32]  # [n_tokens, 2]: characters, counted from the beginning of the piece
    counts: NDArray[np.int64]  # [n_pieces]


class TokenReader:
    """Reads token ids and character spans of texts, without special tokens. Safe to share between threads.

    The tokenizer must not change afterwards.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._table = _WordTable()
        self.by_words = _splits_like_bert(tokenizer)
        """Whether texts are read word by word; otherwise the tokenizer reads them whole."""
        if self.by_words:
            self._fold: Callable[[str], str] = str.lower if tokenizer.normalizer.lowercase else str
            self._special = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())

    def __reduce__(self) -> tuple[type[TokenReader], tuple[Tokenizer]]:
        # The table is built again where it is needed.
        return TokenReader, (self._tokenizer,)

    def ids(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All texts' ids end to end, and the number of each text's."""
        if not self.by_words:
            rows = [encoding.ids for encoding in self._encode_fast(texts)]
            lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
            return np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum())), lengths
        pieces, n_pieces = self._split(texts)
        table, numbers = self._numbers(pieces)
        at, counts = table.tokens_of(numbers)
        return table.ids[at], _sums(counts, n_pieces)

    def counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The number of tokens of each text."""
        if not self.by_words:
            return np.fromiter(map(len, self._encode_fast(texts)), dtype=np.int64, count=len(texts))
        pieces, n_pieces = self._split(texts)
        table, numbers = self._numbers(pieces)
        return _sums(table.ends[numbers + 1] - table.ends[numbers], n_pieces)

    def spans(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """(start, end) characters of every token, int32 ``[n_tokens, 2]`` per text."""
        if not self.by_words:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
            return [_as_spans(encoding.offsets) for encoding in encodings]
        special = self._special_in(texts)
        placed = [self._placed_pieces(text, special) for text in texts]
        table, numbers = self._numbers([piece for row in placed for piece, _ in row])
        at, counts = table.tokens_of(numbers)
        begins = np.fromiter((at for row in placed for _, at in row), dtype=np.int32, count=len(numbers))
        spans = table.spans[at] + np.repeat(begins, counts)[:, None]
        lengths = _sums(counts, np.fromiter(map(len, placed), dtype=np.int64, count=len(placed)))
        return np.split(spans, np.cumsum(lengths)[:-1]) if len(lengths) else []

    def _encode_fast(self, texts: Sequence[str]) -> list:
        return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)

    def _split(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
        """The pieces whose tokens make up those of the texts, and how many each text has."""
        special, fold, words = self._special_in(texts), self._fold, _ASCII_WORD.findall
        pieces: list[str] = []
        ends = [0]
        for text in texts:
            if special and any(token in text for token in special):
                pieces.append(
                    text
                )  # special tokens are recognised in the raw text, across the rules for words
            elif _is_plain(text):
                pieces += words(fold(text))
            else:
                for segment in _SEGMENT.findall(text):
                    if _is_plain(segment):
                        pieces += words(fold(segment))
                    else:
                        pieces.append(segment)
            ends.append(len(pieces))
        return pieces, np.diff(ends)

    def _placed_pieces(self, text: str, special: tuple[str, ...]) -> list[tuple[str, int]]:
        """The pieces of a text, as of :meth:`_split`, with the position of each."""
        if any(token in text for token in special):
            return [(text, 0)]
        if _is_plain(text):
            return list(_placed_words(text, 0, self._fold))
        placed: list[tuple[str, int]] = []
        for segment in _SEGMENT.finditer(text):
            piece, at = segment.group(), segment.start()
            placed += _placed_words(piece, at, self._fold) if _is_plain(piece) else [(piece, at)]
        return placed

    def _special_in(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The special tokens that occur in any of the texts: nearly always none, which one look tells."""
        joined = "\n".join(texts)
        return tuple(token for token in self._special if token in joined)

    def _numbers(self, pieces: list[str]) -> tuple[_WordTable, NDArray[np.int64]]:
        """A table that has all of ``pieces``, and the number of each in it."""
        table = self._table
        try:
            return table, table.look_up(pieces)
        except KeyError:
            missing = [piece for piece in dict.fromkeys(pieces) if piece not in table.numbers]
        kept = [piece for piece in missing if len(piece) <= LONGEST_KEPT]
        if len(table.numbers) + len(kept) > MAX_WORDS:
            # Another thread may still read the old table.
            self._table = table = _WordTable()
            missing = list(dict.fromkeys(pieces))
            kept = [piece for piece in missing if len(piece) <= LONGEST_KEPT]
            if len(kept) > MAX_WORDS:
                kept = []
        table.add(kept, self._read(kept))
        if len(kept) < len(missing):
            rest = list(set(missing).difference(kept))
            table = table.with_more(rest, self._read(rest))
        return table, table.look_up(pieces)

    def _read(self, pieces: list[str]) -> _Tokens:
        encodings = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
        return _Tokens(
            np.array([i for encoding in encodings for i in encoding.ids], dtype=np.int64),
            _as_spans([span for encoding in encodings for span in encoding.offsets]),
            np.fromiter(map(len, encodings), dtype=np.int64, count=len(encodings)),
        )


class _WordTable:
    """Words by number, and the tokens of each; it only grows, so that threads may read while one adds."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        # Buffers with room to grow; word n has the tokens ends[n] to ends[n + 1].
        self.ends = np.zeros(1, dtype=np.int64)
        self.ids = np.zeros(0, dtype=np.int64)
        self.spans = np.zeros((0, 2), dtype=np.int32)
        self._n_words = 0
        self._lock = threading.Lock()

    def look_up(self, words: list[str]) -> NDArray[np.int64]:
        """The number of each word. Raises KeyError if one is unknown."""
        return np.fromiter(map(self.numbers.__getitem__, words), dtype=np.int64, count=len(words))

    def tokens_of(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the words' tokens lie in the table, end to end, and how many each word has."""
        begins = self.ends[numbers]
        counts = self.ends[numbers + 1] - begins
        after = np.cumsum(counts)
        total = int(after[-1]) if len(after) else 0
        return np.arange(total) + np.repeat(begins - after + counts, counts), counts

    def add(self, words: list[str], tokens: _Tokens) -> None:
        with self._lock:
            first, begin = self._n_words, int(self.ends[self._n_words])
            self.ids = _written(self.ids, begin, tokens.ids)
            self.spans = _written(self.spans, begin, tokens.spans)
            self.ends = _written(self.ends, first + 1, begin + np.cumsum(tokens.counts))
            self._n_words += len(words)
            # Last, so that who finds a word's number finds its tokens. If two threads added a word, both of
            # its numbers are right.
            self.numbers.update(zip(words, range(first, self._n_words), strict=True))

    def with_more(self, words: list[str], tokens: _Tokens) -> _WordTable:
        """A copy with further words."""
        copy = _WordTable()
        with self._lock:
            copy.numbers, copy._n_words = dict(self.numbers), self._n_words
            # Without the room to grow, which is not shared
            copy.ends = self.ends[: self._n_words + 1]
            copy.ids, copy.spans = self.ids[: copy.ends[-1]], self.spans[: copy.ends[-1]]
        copy.add(words, tokens)
        return copy


def _written(buffer: NDArray, at: int, values: NDArray) -> NDArray:
    """The buffer with ``values`` from position ``at`` on: itself, or one twice as large."""
    after = at + len(values)
    if after > len(buffer):
        larger = np.zeros((max(2 * len(buffer), after), *buffer.shape[1:]), dtype=buffer.dtype)
        larger[:at] = buffer[:at]
        buffer = larger
    buffer[at:after] = values
    return buffer


def _splits_like_bert(tokenizer: Tokenizer) -> bool:
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(tokenizer.model, models.WordPiece)
        and tokenizer.truncation is None
        and all(token.special and not token.normalized for token in added)
    )


def _as_spans(spans: list[tuple[int, int]]) -> NDArray[np.int32]:
    return np.array(spans, dtype=np.int32).reshape(-1, 2)


def _is_plain(text: str) -> bool:
    return text.isascii() and (text.isprintable() or _NOT_PRINTABLE_ASCII.search(text) is None)


def _placed_words(text: str, at: int, fold: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    return ((word.group(), at + word.start()) for word in _ASCII_WORD.finditer(fold(text)))


def _sums(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of consecutive values, of which each group has ``counts``; an empty group has the sum 0."""
    upto = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(counts)
    return upto[ends] - upto[ends - counts]
