"""Sentences and passages: exact spans for texts small enough to count by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from indexing.documents.chunk import ChunkSettings, chunk_documents, chunk_spans
from indexing.documents.sentences import sentence_spans


def words(texts):
    """A tokenizer whose tokens are words and single marks; counts what it was given."""
    words.calls.append([len(text) for text in texts])
    return [
        np.array([m.span() for m in re.finditer(r"\w+|[^\w\s]", t)], np.int32).reshape(-1, 2) for t in texts
    ]


words.calls = []


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text).tolist()]


def chunks(text: str, max_tokens: int, overlap: int = 0) -> list[str]:
    spans = chunk_spans(text, words([text])[0], ChunkSettings(max_tokens, overlap))
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    "expected",
    [
        ["Bread rises.", "Why?", "Because of yeast!", "So"],
        [
            "Dr. Smith et al. measured 3.14 volts at 5 p.m. on Monday.",
            "See Fig. 2 (e.g. the left one).",
            "Done!",
        ],
        ['"Really?" she said.', '"Yes."', "He left... and came back.", "Then…", "Nothing.", "Wait?!", "No."],
        [
            "J. R. Tolkien wrote it.",
            "So did I.",
            "He lived in the U.K. for years.",
            "She left the U.S.",
            "Then what?",
        ],
        ["the boundary layer .", "it is shown that data fit .", "all lower case."],
        ["He said (loudly.)", "Then **bold.**", "Version 2.0 is out."],
        ["Open file.txt or http://a.org/b.c?d=e now.", "Next."],
    ],
)
def test_sentences(expected):
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天天气很好。我们去公园！“好吗？”好", ["今天天气很好。", "我们去公园！", "“好吗？”", "好"]),
        ("Hard-wrapped prose\ngoes on. Next.", ["Hard-wrapped prose\ngoes on.", "Next."]),
        ("Heading\n\nOne\r\n \r\nTwo", ["Heading", "One", "Two"]),
        ("List:\n- one\n- two\n  goes on\n1. First. Then.\n2. Second", None),
        ("Text:\n    x = 1\n    y = 2\nEnd", ["Text:", "x = 1", "y = 2", "End"]),
        (">>> f(1)\n2\n>>> f(2)", [">>> f(1)", "2", ">>> f(2)"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_boundaries_that_are_no_full_stops(text, expected):
    if expected is None:
        expected = ["List:", "- one", "- two", "goes on", "1. First.", "Then.", "2. Second"]
    assert sentences(text) == expected


def test_whole_sentences_up_to_the_budget():
    text = "One two three. Four five. Six seven eight nine. Ten."
    assert chunks(text, 7) == ["One two three. Four five.", "Six seven eight nine. Ten."]
    assert chunks(text, 100) == [text]


def test_the_overlap_is_whole_sentences_that_leave_room_for_the_next():
    text = "A b c. D e. F g. H i j k. L."
    assert chunks(text, 10, 3) == ["A b c. D e. F g.", "F g. H i j k. L."]
    assert chunks(text, 10, 2) == ["A b c. D e. F g.", "H i j k. L."]
    # "H i j k." has five tokens: with "F g." it would be eight.
    assert chunks(text, 7, 3) == ["A b c. D e.", "D e. F g.", "H i j k. L."]


def test_a_long_sentence_is_cut_between_words_and_lines():
    assert chunks("a b c d e f g h i", 4) == ["a b c d", "e f g h", "i"]
    assert chunks("a b c d e f\ng h i j k l m", 8) == ["a b c d e f", "g h i j k l m"]
    # Seven tokens a word and eight a passage: the cut goes back to where the word began.
    assert chunks("a-b-c-d e-f-g-h i-j", 8) == ["a-b-c-d", "e-f-g-h", "i-j"]
    assert chunks("a-b-c-d-e-f", 8) == ["a-b-c-d-", "e-f"]


def test_a_word_without_end_is_cut_by_characters():
    text = "x" * 1000
    spans = chunk_spans(text, np.array([[0, 1000]]), ChunkSettings(10, 0))
    assert spans == [(0, 320), (320, 640), (640, 960), (960, 1000)]


def test_a_text_with_fewer_bytes_than_the_budget_is_not_tokenised():
    words.calls.clear()
    settings = ChunkSettings(16, 0)
    texts = [" Short text. ", "", "   ", "x" * 16, "日本語テキスト", "one two " * 10]
    assert chunk_documents(texts, words, settings) == [
        [(1, 12)],
        [],
        [],
        [(0, 16)],
        [(0, 7)],
        [(0, 63), (64, 79)],
    ]
    assert words.calls == [[7, 80]]  # seven characters of 21 bytes might be more than 16 tokens


def test_without_a_tokenizer_tokens_are_estimated():
    text = "abcdefgh ij. " * 4  # 2 + 1 + 1 tokens a sentence
    assert chunk_spans(text, None, ChunkSettings(8, 0)) == [(0, 25), (26, 51)]


def test_special_tokens_do_not_count():
    spans = np.array([[0, 0], [0, 1], [2, 3], [0, 0]])
    assert chunk_spans("a b", spans, ChunkSettings(2, 0)) == [(0, 3)]


def test_a_text_of_megabytes_is_tokenised_in_segments_with_the_same_answer():
    text = "Bread rises because yeast makes gas. It takes time, warmth and some patience! " * 13_000
    words.calls.clear()
    (found,) = chunk_documents([text], words, ChunkSettings())
    assert max(max(sizes) for sizes in words.calls) <= 65_536
    assert found == chunk_spans(text, words([text])[0], ChunkSettings())
    # 7 + 9 tokens a pair; 16 pairs are 256; two sentences of the end begin the next passage: 32 tokens.
    assert found[0] == (0, 78 * 16 - 1)
    assert found[1] == (78 * 14, 78 * 30 - 1)


@pytest.mark.parametrize(
    "text",
    [
        "." * 10**6,
        ".\n" * 50_000,
        "a\n\n" * 50_000,
        " " * 10**6 + "x",
        "\n" + " " * 10**6 + "x",
        "e.g. " * 50_000,
    ],
)
def test_odd_texts_of_a_megabyte_are_covered(text):
    spans = chunk_documents([text], words, ChunkSettings())[0]
    covered = sum(len(text[start:end].replace(" ", "").replace("\n", "")) for start, end in spans)
    assert covered >= len(text.replace(" ", "").replace("\n", ""))
    assert all(len(words([text[start:end]])[0]) <= 256 for start, end in spans[:50])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 0), "max_tokens is 0, at least 1"),
        ((10, 6), "overlap is 6, allowed is 0 to half"),
        ((10, -1), "overlap is -1"),
    ],
)
def test_settings_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        ChunkSettings(*values)
