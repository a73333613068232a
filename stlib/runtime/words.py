"""Token ids of texts, exactly the tokenizer's own but many times faster for BERT's WordPiece.

BERT's rules split a text at white space and at punctuation before WordPiece sees it, so the tokens of a text
are the tokens of its words laid end to end. Words repeat: each distinct one goes through the tokenizer once,
and is looked up afterwards. Texts and tokenizers to which this does not apply take the tokenizer's own path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from stlib.util.forks import ThreadLock
from stlib.util.panics import TOKENISING

__all__ = ["TokenReader"]

# About 60 MB at the very most; an English corpus of any size has fewer frequent words.
MAX_WORDS = 300_000
LONGEST_KEPT = 64  # a longer "word" is a path, a hash or a text without spaces, and will not come again

_BLOCK = 1 << 20  # characters read at a time; splitting takes some 30 bytes for each

# In printable ASCII, BERT's words are runs of letters and digits, and single punctuation marks.
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9\s]")
_PRINTABLE = bytes(range(ord(" "), ord("~") + 1)) + b"\t\n\r"
# Anything else is cut only where every rule agrees that words end; the tokenizer does the rest.
_SEGMENT = re.compile(r"[^ \t\n\r]+")
_OTHER_SEGMENT = re.compile(r"(?<![^ \t\n\r])[^ \t\n\r]*?[^ -~\t\n\r][^ \t\n\r]*")

# Marks that no plain text has: one after each text of those that are split together, and one in place of a
# piece that is not plain. In the table such a piece begins with its mark, so that no piece equals the other.
_END, _APART = "\0", "\1"
_STANDS_ALONE = np.array([not chr(c).isalnum() and not chr(c).isspace() for c in range(128)])
_COPIES = np.where(_STANDS_ALONE, 3, 1)  # of a character, when spaces are put around it


_LAST_OF_LATIN = "\u024f"
_UNKNOWN = ("[UNK]", "<unk>", "[unk]", "<UNK>")
_IDEOGRAPH = re.compile("[\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]")
"""Letters that are about as much as a syllable or a word: reading them one by one is fine."""


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
            self._longest = min(LONGEST_KEPT, tokenizer.model.max_input_chars_per_word)
            self._special = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())

    def __reduce__(self) -> tuple[type[TokenReader], tuple[Tokenizer]]:
        # The table is built again where it is needed.
        return TokenReader, (self._tokenizer,)

    def id_of(self, token: str) -> int | None:
        """The id of a token by its own name; None if the tokenizer has none of this name."""
        return self._tokenizer.token_to_id(token)

    def name_of(self, id_: int) -> str | None:
        """What the token of this id is called; None if there is none."""
        return self._tokenizer.id_to_token(id_) if 0 <= id_ < 1 << 32 else None

    @property
    def size(self) -> int:
        """Tokens of the vocabulary, added ones included."""
        return self._tokenizer.get_vocab_size()

    def ids(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All texts' ids end to end, and the number of each text's."""
        if not self.by_words:
            rows = [encoding.ids for encoding in self._encode_fast(texts)]
            lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
            return np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum())), lengths
        blocks = [self._read_block(block) for block in _blocks(texts)]
        return _join([ids for ids, _ in blocks]), _join([lengths for _, lengths in blocks])

    def counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The number of tokens of each text."""
        if not self.by_words:
            return np.fromiter(map(len, self._encode_fast(texts)), dtype=np.int64, count=len(texts))
        return self.ids(texts)[1]

    def unread_shares(self, texts: Sequence[str]) -> list[float]:
        """Of each text the part of its letters, 0 to 1, that the tokens say nothing of: those of words that
        are unknown, and those that are read one by one though they are of an alphabet. A tokenizer that was
        made for other scripts leaves 0.4 to 1, and of texts that it was made for less than 0.1. A text
        without letters is read.
        """
        unknown = {self._tokenizer.token_to_id(token) for token in _UNKNOWN} - {None}
        return [
            _unread(text, encoding, unknown)
            for text, encoding in zip(texts, self._encode(texts), strict=True)
        ]

    def spans(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """(start, end) characters of every token, int32 ``[n_tokens, 2]`` per text."""
        if not self.by_words:
            encodings = self._encode(texts)
            return [_as_spans(encoding.offsets) for encoding in encodings]
        joined = _END.join(texts)
        special = tuple(token for token in self._special if token in joined)
        placed = [self._place_pieces(text, special) for text in texts]
        table, numbers = self._numbers([piece for row in placed for piece, _ in row])
        at, counts = table.tokens_of(numbers)
        begins = np.fromiter((at for row in placed for _, at in row), dtype=np.int32, count=len(numbers))
        spans = table.spans[at] + np.repeat(begins, counts)[:, None]
        lengths = _sums(counts, np.fromiter(map(len, placed), dtype=np.int64, count=len(placed)))
        return np.split(spans, np.cumsum(lengths)[:-1]) if len(lengths) else []

    def _encode_fast(self, texts: Sequence[str]) -> list:
        with TOKENISING:
            return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)

    def _encode(self, texts: Sequence[str]) -> list:
        with TOKENISING:
            return self._tokenizer.encode_batch(list(texts), add_special_tokens=False)

    def _read_block(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and lengths of texts that are split in one go."""
        joined, apart = self._mark(texts)
        pieces = _split(self._fold(joined))
        if apart:
            kept_apart = iter(apart)
            pieces = [next(kept_apart) if piece == _APART else piece for piece in pieces]
        table, numbers = self._numbers(pieces)
        at, counts = table.tokens_of(numbers)
        upto = np.cumsum(counts)[numbers == table.END]
        return table.ids[at], np.diff(upto, prepend=0)

    def _mark(self, texts: Sequence[str]) -> tuple[str, list[str]]:
        """The texts with a mark after each and in place of what is not plain, and those places' pieces."""
        joined = _END.join(texts) + _END
        special = [token for token in self._special if token in joined]
        if not special and joined.count(_END) == len(texts) and _is_plain(joined, _PRINTABLE + b"\0"):
            return joined, []
        apart: list[str] = []

        def keep(found: re.Match[str]) -> str:
            apart.append(_APART + found.group())
            return _APART

        plain: list[str] = []
        for text in texts:
            if any(token in text for token in special):
                # Special tokens are recognised in the raw text, across the rules for words.
                apart.append(_APART + text)
                plain.append(_APART)
            else:
                plain.append(text if _is_plain(text) else _OTHER_SEGMENT.sub(keep, text))
        return _END.join(plain) + _END, apart

    def _place_pieces(self, text: str, special: tuple[str, ...]) -> list[tuple[str, int]]:
        """The pieces of a text, as of :meth:`_split`, with the position of each."""
        if any(token in text for token in special):
            return [(_APART + text, 0)]
        if _is_plain(text):
            return list(_place_words(text, 0, self._fold))
        placed: list[tuple[str, int]] = []
        for segment in _SEGMENT.finditer(text):
            piece, at = segment.group(), segment.start()
            placed += _place_words(piece, at, self._fold) if _is_plain(piece) else [(_APART + piece, at)]
        return placed

    def _numbers(self, pieces: list[str]) -> tuple[_WordTable, NDArray[np.int64]]:
        """A table that has all of ``pieces``, and the number of each in it."""
        base = self._table
        try:
            return base, base.look_up(pieces)
        except KeyError:
            missing = [piece for piece in dict.fromkeys(pieces) if piece not in base.numbers]
        kept = [piece for piece in missing if len(piece) <= LONGEST_KEPT]
        if base is self._table and len(base.numbers) + len(kept) <= MAX_WORDS:
            base.add(kept, self._read(kept))
            missing = [piece for piece in missing if len(piece) > LONGEST_KEPT]
        elif base is self._table:
            self._table = _WordTable()  # what is in use is full: words are collected anew
        if missing:
            base = base.with_more(missing, self._read(missing))
        return base, base.look_up(pieces)

    def _read(self, pieces: list[str]) -> _Tokens:
        """What the tokenizer makes of each piece."""
        ids: list[list[int]] = []
        spans: list[list[tuple[int, int]]] = []
        unknown: list[int] = []
        for place, piece in enumerate(pieces):
            # WordPiece takes the longest match first: a whole word of the vocabulary is one token.
            is_word = len(piece) <= self._longest and piece[0] != _APART
            whole = self._tokenizer.token_to_id(piece) if is_word else None
            if whole is None:
                unknown.append(place)
            ids.append([whole or 0])
            spans.append([(0, len(piece))])
        texts = [pieces[place].removeprefix(_APART) for place in unknown]
        encodings = self._encode(texts)
        for place, encoding in zip(unknown, encodings, strict=True):
            ids[place], spans[place] = encoding.ids, encoding.offsets
        return _Tokens(
            np.fromiter(chain.from_iterable(ids), dtype=np.int64),
            _as_spans(list(chain.from_iterable(spans))),
            np.fromiter(map(len, ids), dtype=np.int64, count=len(ids)),
        )


class _WordTable:
    """Words by number, and the tokens of each; it only grows, so that threads may read while one adds."""

    END = 0  # the number of the mark between texts, which has no tokens

    def __init__(self) -> None:
        self.numbers = {_END: self.END}
        # Buffers with room to grow; word n has the tokens ends[n] to ends[n + 1].
        self.ends = np.zeros(2, dtype=np.int64)
        self.ids = np.zeros(0, dtype=np.int64)
        self.spans = np.zeros((0, 2), dtype=np.int32)
        self._n_words = 1
        self._lock = ThreadLock()

    def look_up(self, words: list[str]) -> NDArray[np.int64]:
        """The number of each word; KeyError if one is unknown."""
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
            self.ids = _write(self.ids, begin, tokens.ids)
            self.spans = _write(self.spans, begin, tokens.spans)
            self.ends = _write(self.ends, first + 1, begin + np.cumsum(tokens.counts))
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


def _write(buffer: NDArray, at: int, values: NDArray) -> NDArray:
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
        # Else a word that is written like it once folded would be taken for it
        and not any(_ASCII_WORD.fullmatch(token.content) for token in added)
    )


def _as_spans(spans: list[tuple[int, int]]) -> NDArray[np.int32]:
    return np.array(spans, dtype=np.int32).reshape(-1, 2)


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Consecutive texts of about ``_BLOCK`` characters together; a longer text comes alone."""
    first, size = 0, 0
    for i, text in enumerate(texts):
        if size and size + len(text) > _BLOCK:
            yield texts[first:i]
            first, size = i, 0
        size += len(text) + 1
    if first < len(texts):
        yield texts[first:]


def _join(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The arrays end to end."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.zeros(0, dtype=np.int64), *arrays])


def _split(text: str) -> list[str]:
    """Words, punctuation and marks of plain ASCII text, in order."""
    characters = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    alone = np.flatnonzero(_STANDS_ALONE[characters])
    spaced = np.repeat(characters, _COPIES[characters])
    before = alone + 2 * np.arange(len(alone))
    spaced[before] = spaced[before + 2] = ord(" ")
    return spaced.tobytes().decode("ascii").split()


def _is_plain(text: str, allowed: bytes = _PRINTABLE) -> bool:
    return text.isascii() and not text.encode("ascii").translate(None, allowed)


def _place_words(text: str, at: int, fold: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    return ((word.group(), at + word.start()) for word in _ASCII_WORD.finditer(fold(text)))


def _sums(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of consecutive values, of which each group has ``counts``; an empty group has the sum 0."""
    upto = np.concatenate([[0], np.cumsum(values)])
    ends = np.cumsum(counts)
    return upto[ends] - upto[ends - counts]


def _unread(text: str, encoding: Any, unknown: set[int | None]) -> float:
    letters = sum(map(str.isalpha, text))
    unread: set[int] = set()
    before = (-1, -1)
    for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        by_letter = end - start == 1 and not _IDEOGRAPH.match(text, start) and text[start] > _LAST_OF_LATIN
        if token in unknown or by_letter or (start, end) == before:  # the same letter again: in bytes
            unread.update(at for at in range(start, end) if text[at].isalpha())
        before = (start, end)
    return len(unread) / letters if letters else 0.0
