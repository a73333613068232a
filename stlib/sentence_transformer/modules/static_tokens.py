"""Token ids for a static table: word by word where that is exact, by the tokenizer itself elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stlib.runtime.words import TokenReader
from stlib.util.panics import TOKENISING


class TokenRows(NamedTuple):
    """Ids of several texts end to end, ``lengths`` of each, and how many texts were cut."""

    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]
    n_truncated: int


class StaticTokens:
    """Reads texts as ``tokenizer.encode_batch(texts, add_special_tokens=False)`` does, truncation included.

    The tokenizer may be changed or configured between calls: its settings are compared at each, which takes a
    microsecond. (A vocabulary changed in place goes unseen; give the module a new tokenizer instead.)
    """

    def __init__(self) -> None:
        # Replaced as a whole, so that threads see a tokenizer with its own settings and reader only.
        self._known: tuple[Tokenizer | None, Any, TokenReader | None] = (None, None, None)

    def read(self, tokenizer: Tokenizer, texts: list[str]) -> TokenRows:
        """Ids of all texts."""
        limit = tokenizer.truncation
        reader = self._reader_of(tokenizer, limit)
        if reader is None:
            return _read_by_tokenizer(tokenizer, texts)
        ids, lengths = reader.ids(texts)
        if limit is None or not len(lengths) or lengths.max() <= limit["max_length"]:
            return TokenRows(ids, lengths, 0)
        return _cut(ids, lengths, limit["max_length"], from_left=limit["direction"] == "left")

    def _reader_of(self, tokenizer: Tokenizer, limit: Any) -> TokenReader | None:
        """A reader by words if that is exact for this tokenizer, else None."""
        settings = (_state(tokenizer.normalizer), limit, tokenizer.get_added_tokens_decoder())
        of, had, reader = self._known
        if tokenizer is not of or settings != had:
            made = TokenReader(_without_truncation(tokenizer))
            reader = made if made.by_words else None
            self._known = (tokenizer, settings, reader)
        return reader


def _state(normalizer: Any) -> Any:
    return None if normalizer is None else (type(normalizer).__name__, normalizer.__getstate__())


def _without_truncation(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that does not cut; kinds of truncation that cannot be done afterwards are left as they
    are.
    """
    limit = tokenizer.truncation
    if limit is None or limit["strategy"] != "longest_first" or limit["max_length"] < 1:
        return tokenizer
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    return copy


def _read_by_tokenizer(tokenizer: Tokenizer, texts: list[str]) -> TokenRows:
    with TOKENISING:
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    rows = [encoding.ids for encoding in encodings]
    cut = 0
    if tokenizer.truncation is not None:
        cut = sum(bool(encoding.overflowing) for encoding in encodings)
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]) if rows else np.zeros(0, np.int64)
    return TokenRows(ids, lengths, cut)


def _cut(ids: NDArray[np.int64], lengths: NDArray[np.int64], limit: int, from_left: bool) -> TokenRows:
    """The first ``limit`` tokens of each text, or the last ones."""
    begins = np.cumsum(lengths) - lengths
    position = np.arange(len(ids)) - np.repeat(begins, lengths)
    if from_left:
        position = np.repeat(lengths, lengths) - 1 - position
    return TokenRows(ids[position < limit], np.minimum(lengths, limit), int((lengths > limit).sum()))
