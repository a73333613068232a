"""Snippets: the window that answers, with the right words marked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.search.snippets import SNIPPET_CHARACTERS, Highlighter, make_snippet

VECTORS = {"telex": [1.0, 0.0], "teleprinter": [0.9, 0.1], "banana": [0.0, 1.0]}


def stems(text):
    return [word[:-1] if word.endswith("s") else word for word in text.lower().split()]


def embed(words):
    return np.array([VECTORS.get(word, [0.0, 0.0]) for word in words])


HIGHLIGHTER = Highlighter(stems, embed, frozenset({"the", "a", "of"}))


def marked(text, query, span=None):
    snippet = make_snippet(text, span, HIGHLIGHTER.query(query))
    return snippet.text, [snippet.text[start:end] for start, end in snippet.highlights]


def test_stems_mark_every_form_and_function_words_none():
    assert marked("The Cats sat on a cat of the cat.", "the cats") == (
        "The Cats sat on a cat of the cat.",
        ["Cats", "cat", "cat"],
    )


def test_words_close_in_meaning_are_marked():
    assert marked("A teleprinter beside a banana.", "telex")[1] == ["teleprinter"]


def test_a_query_of_function_words_alone_marks_them():
    assert marked("The end of it.", "the of")[1] == ["The", "of"]


def test_window_is_the_sentence_that_matches():
    filler = "Nothing of interest happens in this sentence at all, and nobody would want to read it. "
    text = filler * 5 + "The whale breathes here. " + filler * 5
    window, words = marked(text, "whale")
    assert "The whale breathes here." in window
    assert words == ["whale"]
    assert len(window) <= SNIPPET_CHARACTERS


def test_window_stays_inside_the_best_passage():
    text = "The whale. " * 3 + "A dull passage about bread. " * 3
    start = text.index("A dull")
    window, words = marked(text, "whale", (start, len(text)))
    assert window == text[start:].strip()
    assert words == []


def test_a_long_sentence_is_cut_around_its_matches():
    text = "word " * 400 + "whale " + "word " * 400
    window, words = marked(text, "whale")
    assert words == ["whale"]
    assert len(window) <= SNIPPET_CHARACTERS
    assert window == window.strip()


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "..."])
def test_texts_without_words(text):
    assert marked(text, "whale")[1] == []


@given(
    st.text(max_size=400)
    | st.lists(st.sampled_from(["cat", "Cats.", "x" * 300, "\n\n", "é", "- "])).map(" ".join),
    st.text(max_size=30),
)
def test_highlights_are_ordered_words_inside_the_snippet(text, query):
    snippet = make_snippet(text, None, HIGHLIGHTER.query(query))
    assert snippet.text in text
    assert len(snippet.text) <= SNIPPET_CHARACTERS
    ends = [0]
    for start, end in snippet.highlights:
        assert ends[-1] <= start < end <= len(snippet.text)
        ends.append(end)
