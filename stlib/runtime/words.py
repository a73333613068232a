"""Token ids of texts, exactly the tokenizer's own but several times faster for BERT's WordPiece.

BERT's rules split a text at white space and at punctuation before WordPiece sees it, so the tokens of a text
are the tokens of its words laid end to end. Words repeat: each distinct one goes through the tokenizer once,
and is looked up afterwards. Texts and tokenizers to which this does not apply take the tokenizer's own path.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
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


class _Word(NamedTuple):
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]  # characters of each token, from the beginning of the word


class TokenReader:
    """Reads token ids and character spans of texts, without special tokens. Safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._words: dict[str, _Word] = {}
        self._by_words = _splits_like_bert(tokenizer)
        if self._by_words:
            self._fold: Callable[[str], str] = str.lower if tokenizer.normalizer.lowercase else str
            self._special = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())

    def ids(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All texts' ids end to end, and the number of each text's."""
        rows = self._rows(texts)
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum()))
        return flat, lengths

    def counts(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The number of tokens of each text."""
        return np.fromiter(map(len, self._rows(texts)), dtype=np.int64, count=len(texts))

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        if not self._by_words:
            return [encoding.ids for encoding in self._encode_fast(texts)]
        split = [self._split(text) for text in texts]
        words = self._known({word for row in split if row is not None for word in row})
        rows: list[list[int]] = []
        for text, row in zip(texts, split, strict=True):
            if row is None:
                rows.append(self._encode_fast([text])[0].ids)
            else:
                rows.append([i for word in row for i in words[word].ids])
        return rows

    def _encode_fast(self, texts: Sequence[str]) -> list:
        return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)

    def spans(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """(start, end) characters of every token, int32 ``[n_tokens, 2]`` per text."""
        if not self._by_words:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
            return [_as_array(encoding.offsets) for encoding in encodings]
        pieces = [None if self._holds_special(text) else list(_pieces(text, self._fold)) for text in texts]
        words = self._known({word for row in pieces if row is not None for word, _ in row})
        found: list[NDArray[np.int32]] = []
        for text, row in zip(texts, pieces, strict=True):
            if row is None:
                found.append(_as_array(self._tokenizer.encode(text, add_special_tokens=False).offsets))
            else:
                spans = [(at + start, at + end) for word, at in row for start, end in words[word].spans]
                found.append(_as_array(spans))
        return found

    def _split(self, text: str) -> list[str] | None:
        """The words whose tokens make up those of ``text``; None if only the tokenizer can tell."""
        if self._holds_special(text):
            return None
        if _is_plain(text):
            return _ASCII_WORD.findall(self._fold(text))
        return [word for word, _ in _pieces(text, self._fold)]

    def _holds_special(self, text: str) -> bool:
        """Special tokens are recognised in the raw text, across the rules for words."""
        return any(token in text for token in self._special)

    def _known(self, words: set[str]) -> Mapping[str, _Word]:
        """A table that has all of ``words``."""
        table = self._words
        missing = [word for word in words if word not in table]
        if not missing:
            return table
        if len(table) + len(missing) > MAX_WORDS:
            table, missing = {}, list(words)  # another thread may still read the old table
        encodings = self._tokenizer.encode_batch(missing, add_special_tokens=False)
        read = {w: _Word(tuple(e.ids), tuple(e.offsets)) for w, e in zip(missing, encodings, strict=True)}
        table.update((word, tokens) for word, tokens in read.items() if len(word) <= LONGEST_KEPT)
        self._words = table
        return ChainMap(read, table) if any(len(word) > LONGEST_KEPT for word in missing) else table


def _splits_like_bert(tokenizer: Tokenizer) -> bool:
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(tokenizer.model, models.WordPiece)
        and tokenizer.truncation is None
        and all(token.special and not token.normalized for token in added)
    )


def _as_array(spans: list[tuple[int, int]]) -> NDArray[np.int32]:
    return np.array(spans, dtype=np.int32).reshape(-1, 2)


def _is_plain(text: str) -> bool:
    return text.isascii() and _NOT_PRINTABLE_ASCII.search(text) is None


def _pieces(text: str, fold: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    """Words with their positions; what is not plain ASCII stays whole between white space."""
    if _is_plain(text):
        yield from ((word.group(), word.start()) for word in _ASCII_WORD.finditer(fold(text)))
        return
    for segment in _SEGMENT.finditer(text):
        piece, at = segment.group(), segment.start()
        if _is_plain(piece):
            for word in _ASCII_WORD.finditer(fold(piece)):
                yield word.group(), at + word.start()
        else:
            yield piece, at
