"""What holds for the passages of any text, any tokens and any settings."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.documents import chunk
from indexing.documents.chunk import ChunkSettings, chunk_documents, chunk_spans
from indexing.documents.sentences import sentence_spans

PIECES = [
    "word",
    "Dr.",
    "e.g.",
    "3.14",
    ".",
    "?!",
    "…",
    "。",
    "- ",
    "1. ",
    "    code",
    "\n",
    "\n\n",
    "\r\n",
    " ",
    "é",
    "日本",
    "😀",
    '"',
    "x" * 40,
]
texts = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=200).map("".join))


@st.composite
def settings(draw):
    max_tokens = draw(st.integers(4, 40))
    return ChunkSettings(max_tokens, draw(st.integers(0, max_tokens // 2)))


def byte_tokens(text: str) -> np.ndarray:
    """Like a byte-level tokenizer: up to four tokens for one character, blanks lead their word."""
    spans: list[tuple[int, int]] = []
    for match in re.finditer(r" ?\w{1,3}|\S", text):
        spans += [match.span()] * (
            len(match.group().encode("utf-8", "surrogatepass")) if len(match.group()) == 1 else 1
        )
    return np.array(spans, dtype=np.int32).reshape(-1, 2)


def count(tokens: np.ndarray, start: int, end: int) -> int:
    return int(((tokens[:, 0] < end) & (tokens[:, 1] > start)).sum())


@given(texts)
def test_sentences_cover_every_character_once(text):
    spans = sentence_spans(text).tolist()
    assert all(end > start for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    outside = list(text)
    for start, end in spans:
        assert not text[start].isspace() and not text[end - 1].isspace()
        outside[start:end] = [" "] * (end - start)
    assert "".join(outside).strip() == ""


@given(texts, settings())
def test_passages_keep_every_promise(text, settings):
    tokens = byte_tokens(text)
    spans = chunk_spans(text, tokens, settings)
    assert spans == chunk_spans(text, tokens, settings)
    covered = [False] * len(text)
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        assert not text[start].isspace() and not text[end - 1].isspace()
        assert count(tokens, start, end) <= settings.max_tokens
        covered[start:end] = [True] * (end - start)
    assert all(covered[position] or text[position].isspace() for position in range(len(text)))
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start < next_start and end < next_end
        assert count(tokens, next_start, end) <= settings.overlap if next_start < end else True


@given(texts, settings())
def test_passages_begin_and_end_with_sentences_unless_one_is_too_long(text, settings):
    tokens = byte_tokens(text)
    sentences = sentence_spans(text).tolist()
    if any(count(tokens, start, end) > settings.max_tokens for start, end in sentences):
        return
    spans = chunk_spans(text, tokens, settings)
    assert {start for start, _ in spans} <= {start for start, _ in sentences}
    assert {end for _, end in spans} <= {end for _, end in sentences}


@given(st.lists(texts, max_size=5), settings())
def test_many_texts_are_cut_as_each_alone(many, settings):
    together = chunk_documents(many, lambda given: [byte_tokens(text) for text in given], settings)
    assert together == [chunk_spans(text, byte_tokens(text), settings) for text in many]


def word_tokens(text: str) -> np.ndarray:
    """Tokens that do not depend on what stands around them."""
    return np.array([m.span() for m in re.finditer(r"\w{1,3}|[^\w\s]", text)], np.int32).reshape(-1, 2)


@given(
    st.lists(st.sampled_from([*PIECES, "A word. ", "and more words ", " " * 700, "\n" * 300]), max_size=400),
    settings(),
)
def test_passages_block_by_block_are_those_of_the_whole_text(pieces, settings):
    text = "".join(pieces)
    expected = chunk_spans(text, word_tokens(text), settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk, "_BLOCK_CHARACTERS", 1)  # a block holds four passages of the longest kind
        found = chunk_documents([text], lambda texts: [word_tokens(t) for t in texts], settings)[0]
    assert found == expected
